import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * How long a client may neither send what it still owes nor take what it is sent. Until then it holds a connection to the
 * upstream, and maybe credit; upstreams that take their time are not its fault and have limits of their own.
 */
export const STALL_MS = 60_000;

/** Looks after a client whose body or answer is on its way; to be called again whenever that begins anew. */
export function expectProgress(
  request: IncomingMessage,
  response: ServerResponse,
  stallMs: number,
  onStalled: (what: "body" | "answer") => void,
): void {
  if (response.listenerCount("timeout") === 0) {
    response.on("timeout", () => {
      if (response.writableLength > 0) onStalled("answer");
      else if (request.complete) return;
      else if (request.readableLength === 0) onStalled("body");
      // What has come is not read yet: the upstream is slow.
      else response.socket?.setTimeout(stallMs);
    });
  }
  // It begins anew with every byte that moves. An answer may still wait for its turn on the connection.
  if (response.socket === null) response.once("socket", (socket: Socket) => socket.setTimeout(stallMs));
  else response.socket.setTimeout(stallMs);
}
