import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ProblemDetails } from "@tollgate/kernel";

/** What is refused before it is a request that anything could be known of. */
export const MALFORMED = {
  request: problem(400, "Bad request", "malformed_request", "This cannot be read as an HTTP request"),
  method: problem(405, "Method not allowed", "method_not_allowed", "The gateway opens no tunnels"),
  timeout: problem(408, "Request timeout", "request_timeout", "The request did not come in time"),
  headers: problem(
    431,
    "Request header fields too large",
    "headers_too_large",
    "There are more than 100 headers, or more than 16 KiB of them",
  ),
} as const;

type Malformed = Omit<ProblemDetails, "requestId">;

function problem(status: number, title: string, code: string, detail: string): Malformed {
  return { type: `https://tollgate.dev/errors/${code.replaceAll("_", "-")}`, title, status, detail, code };
}

const HEADERS = { "Content-Type": "application/problem+json", "Cache-Control": "no-store", Connection: "close" };

/** Answers with problem details (RFC 9457) and ends the connection. */
export function answerMalformed(response: ServerResponse, malformed: Malformed, requestId: string): void {
  const body = JSON.stringify({ ...malformed, requestId });
  response.writeHead(malformed.status, { ...HEADERS, "Content-Length": Buffer.byteLength(body) }).end(body);
}

/** The same on a connection whose request the server could not read. */
export function endMalformed(socket: Duplex, malformed: Malformed, requestId: string): void {
  const body = JSON.stringify({ ...malformed, requestId });
  const lines = Object.entries({ ...HEADERS, "Content-Length": Buffer.byteLength(body) }).map((header) =>
    header.join(": "),
  );
  socket.end(`HTTP/1.1 ${malformed.status} ${malformed.title}\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}
