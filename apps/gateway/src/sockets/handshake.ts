import type { IncomingMessage } from "node:http";

/**
 * The client's half of the opening handshake (RFC 6455, section 4.1), made into a request that the gateway decides like
 * any other. Browsers cannot set headers for a WebSocket, so a key may come as one of the subprotocols; it is taken out
 * here, and the application's own subprotocols go on to the upstream.
 */
const KEY_PROTOCOL = "tollgate.key.";
/** Offered beside the key by clients whose application has no subprotocol: a browser fails when none of its is chosen. */
const OWN_PROTOCOL = "tollgate";
const SOCKET_KEY = /^[A-Za-z0-9+/]{22}==$/;
const EXTENSION = "permessage-deflate";

/** Whether an upgrade asks for a WebSocket, among whatever else. */
export const asksForSocket = (request: IncomingMessage): boolean =>
  tokensOf(request.headers.upgrade).some((token) => token.toLowerCase() === "websocket");

/** Whether the handshake is one that may be passed on: of version 13, complete, and without a body. */
export function isHandshake(request: IncomingMessage): boolean {
  const { headers } = request;
  return (
    request.method === "GET" &&
    request.httpVersion === "1.1" &&
    headers["sec-websocket-version"] === "13" &&
    SOCKET_KEY.test(headers["sec-websocket-key"] ?? "") &&
    headers["transfer-encoding"] === undefined &&
    (headers["content-length"] ?? "0") === "0"
  );
}

/**
 * Makes a key among the subprotocols the request's authorization, unless it has one, and leaves of the headers that are
 * passed on what concerns the upstream.
 */
export function takeCredential(request: IncomingMessage): void {
  const offered = tokensOf(request.headers["sec-websocket-protocol"]);
  const key = offered.find((protocol) => protocol.startsWith(KEY_PROTOCOL))?.slice(KEY_PROTOCOL.length);
  if (key !== undefined) request.headers.authorization ??= `Bearer ${key}`;
  const protocols = offered.filter((protocol) => !isOwn(protocol));
  const extensions = tokensOf(request.headers["sec-websocket-extensions"]).filter((extension) =>
    extension.toLowerCase().startsWith(EXTENSION),
  );
  const kept: string[] = [];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] as string;
    if (/^sec-websocket-(protocol|extensions)$/i.test(name)) continue;
    kept.push(name, request.rawHeaders[index + 1] as string);
  }
  if (protocols.length > 0) kept.push("Sec-WebSocket-Protocol", protocols.join(", "));
  if (extensions.length > 0) kept.push("Sec-WebSocket-Extensions", extensions.join(", "));
  request.rawHeaders = kept;
}

/** Which subprotocol to name to a client whose upstream chose none: one of the gateway's own, if it was offered. */
export function protocolWithout(request: IncomingMessage): string | undefined {
  const own = tokensOf(request.headers["sec-websocket-protocol"]).filter(isOwn);
  // A client that offered nothing but its key takes no answer that does not name it.
  return own.find((protocol) => protocol === OWN_PROTOCOL) ?? own[0];
}

const isOwn = (protocol: string): boolean => protocol === OWN_PROTOCOL || protocol.startsWith(KEY_PROTOCOL);

const tokensOf = (list: string | undefined): string[] =>
  (list ?? "")
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "");
