import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { RawData, WebSocket } from "ws";
import { WebSocketServer } from "ws";

/** An upstream that speaks WebSocket: what it was sent, and what it does with it, is the test's to say. */
export class SocketUpstream {
  readonly opened: { readonly socket: WebSocket; readonly request: IncomingMessage }[] = [];
  readonly messages: string[] = [];
  /** Echoes unless a test says otherwise. */
  onMessage: (socket: WebSocket, data: RawData, isBinary: boolean) => void = (socket, data, isBinary) =>
    socket.send(data, { binary: isBinary });
  /** Lines that its answers to handshakes have as well. */
  handshakeHeaders: readonly string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<SocketUpstream> {
    const server = createServer((_, response) => response.writeHead(426).end("sockets only"));
    const upstream = new SocketUpstream(server);
    const sockets = new WebSocketServer({
      server,
      perMessageDeflate: { threshold: 0 },
      handleProtocols: (protocols) => (protocols.has("chat") ? "chat" : false),
    });
    sockets.on("headers", (headers) => headers.push(...upstream.handshakeHeaders));
    sockets.on("connection", (socket, request) => {
      upstream.opened.push({ socket, request });
      socket.on("error", () => undefined);
      socket.on("message", (data, isBinary) => {
        upstream.messages.push(String(data).slice(0, 100));
        upstream.onMessage(socket, data, isBinary);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The last one that was opened. */
  get last(): { readonly socket: WebSocket; readonly request: IncomingMessage } {
    const last = this.opened.at(-1);
    if (last === undefined) throw new Error("No socket was opened");
    return last;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.opened) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
