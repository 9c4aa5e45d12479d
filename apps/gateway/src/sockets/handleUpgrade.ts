import type { IncomingMessage, Server } from "node:http";
import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { newCallId } from "@tollgate/kernel";
import { REFUSALS } from "../admission/refusal.ts";
import { answerRefusal } from "../answer.ts";
import type { Gateway } from "../gateway.ts";
import { handleCall } from "../handleCall.ts";
import { asksForSocket, isHandshake, takeCredential } from "./handshake.ts";

/** How long a client has to take a refusal and close. */
const CLOSING_MS = 5_000;

/**
 * An upgrade. The handshake of a WebSocket is decided as the call that it is, and refused in plain HTTP; any other
 * upgrade is ignored, as HTTP allows (RFC 9110, section 7.8): clients that offer HTTP/2 are served as they came.
 */
export function handleUpgrade(
  gateway: Gateway,
  server: Server,
  request: IncomingMessage,
  socket: Socket & { readonly _httpMessage?: ServerResponse | null },
  head: Buffer,
): void {
  socket.on("error", () => socket.destroy());
  if (socket._httpMessage != null) {
    // Pipelined behind a call that is not answered yet: its answer and ours would run into each other.
    socket.destroy();
    return;
  }
  if (!asksForSocket(request)) {
    serveAsItCame(server, request, socket, head);
    return;
  }
  if (head.length > 0) socket.unshift(head);
  socket.setTimeout(0);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  gateway.sockets.beginHandshake(socket);
  response.on("close", () => gateway.sockets.endHandshake(socket));
  response.on("finish", () => {
    gateway.sockets.endHandshake(socket);
    if (response.statusCode !== 101) endGently(socket);
  });
  const url = request.url ?? "/";
  const refusal = !url.startsWith("/v1/") ? REFUSALS.noRoute : isHandshake(request) ? undefined : REFUSALS.badUpgrade;
  if (refusal !== undefined) {
    gateway.metrics.countRefusal(refusal.reason);
    answerRefusal(response, refusal, newCallId(gateway.clock.nowMs()), url.split("?", 1)[0] ?? url);
    return;
  }
  takeCredential(request);
  handleCall(gateway, request, response);
}

/** Ends a connection so that the answer arrives: what the client still sends is read, because a reset would overtake it. */
function endGently(socket: Socket): void {
  socket.setTimeout(CLOSING_MS, () => socket.destroy());
  socket.resume();
  socket.end();
}

/** Hands the request to the server once more, without its offer to speak something else. */
function serveAsItCame(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] as string;
    const value = request.rawHeaders[index + 1] as string;
    const lower = name.toLowerCase();
    if (lower === "upgrade" || lower === "http2-settings") continue;
    lines.push(`${name}: ${lower === "connection" ? withoutUpgrade(value) : value}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  server.emit("connection", socket);
}

const withoutUpgrade = (connection: string): string =>
  connection
    .split(",")
    .map((option) => option.trim())
    .filter((option) => !/^(upgrade|http2-settings)$/i.test(option))
    .join(", ");
