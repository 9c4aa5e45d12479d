import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer, STATUS_CODES } from "node:http";
import type { DataDeletionHandler } from "@tollgate/client/upstream";

const BODY_BYTES_MAX = 64 * 1024;
const NAME_CHARACTERS_MAX = 200;
/** Longer than gateways keep an idle connection, so that it is never this side that closes one under a request. */
const KEEP_ALIVE_MS = 65_000;

/** A refusal that is the caller's to mend. */
class RequestError extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

/** The service: `POST /call`, `GET /healthz`, and `GET /served`, how many calls it has answered. `POST /delete-data` is for the control plane. */
export function createHelloServer(options: { readonly deleteData?: DataDeletionHandler } = {}): Server {
  const served = { call: 0 };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://service");
    if (request.method === "GET" && pathname === "/healthz") return sendJson(response, 200, { status: "ok" });
    if (request.method === "GET" && pathname === "/served") {
      return sendJson(response, 200, { total: served.call, byEndpoint: served });
    }
    if (pathname === "/delete-data" && options.deleteData !== undefined) return options.deleteData(request, response);
    if (pathname !== "/call") throw new RequestError(404, "No such endpoint");
    if (request.method !== "POST") throw new RequestError(405, "Use POST");
    const message = `Hello ${nameIn(await readJson(request))}`;
    served.call += 1;
    sendJson(response, 200, { message });
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => sendError(response, error));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

function nameIn(body: unknown): string {
  const name = typeof body === "object" && body !== null && "name" in body ? body.name : undefined;
  if (typeof name !== "string" || name.trim() === "")
    throw new RequestError(400, "name: must be a text that is not empty");
  if (name.length > NAME_CHARACTERS_MAX)
    throw new RequestError(400, `name: must be at most ${NAME_CHARACTERS_MAX} characters`);
  return name;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The iterator must not take the connection down with it: the refusal still has to be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new RequestError(413, `The body must be at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new RequestError(400, "The body must be JSON");
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown, type = "application/json"): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}

function sendError(response: ServerResponse, error: unknown): void {
  const isKnown = error instanceof RequestError;
  if (!isKnown) console.error(error);
  if (response.headersSent || response.destroyed) return void response.destroy();
  // The rest of a body that was not read would be taken for the next request.
  if (!response.req.complete) response.setHeader("connection", "close");
  const status = isKnown ? error.status : 500;
  const detail = isKnown ? error.message : "Something went wrong";
  sendJson(response, status, { title: STATUS_CODES[status], status, detail }, "application/problem+json");
}
