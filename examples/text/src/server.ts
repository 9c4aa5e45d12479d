import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer, STATUS_CODES } from "node:http";
import type { DataDeletionHandler, GatewayVerifier } from "@tollgate/client/upstream";
import { countText } from "./countText.ts";
import { parseCountRequest, parseStreamRequest, RequestError, readJson } from "./requests.ts";
import { streamWords } from "./streamWords.ts";

/** Longer than gateways keep an idle connection, so that it is never this side that closes one under a request. */
const KEEP_ALIVE_MS = 65_000;

export interface TextServerOptions {
  /** Answers only calls that come through the gateway, if given. */
  readonly verify?: GatewayVerifier;
  /** Answers at `/delete-data`, if given. */
  readonly deleteData?: DataDeletionHandler;
}

/** The service: `POST /count`, `POST /stream`, `GET /healthz`, and `GET /served`, how many calls it has answered. `POST /delete-data` is for the control plane. */
export function createTextServer(options: TextServerOptions = {}): Server {
  const served = { count: 0, stream: 0 };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? "/", "http://service");
    if (request.method === "GET" && pathname === "/healthz") return sendJson(response, 200, { status: "ok" });
    if (request.method === "GET" && pathname === "/served") {
      return sendJson(response, 200, { total: served.count + served.stream, byEndpoint: served });
    }
    if (pathname === "/delete-data" && options.deleteData !== undefined) return options.deleteData(request, response);
    if (pathname !== "/count" && pathname !== "/stream") throw new RequestError(404, "No such endpoint");
    if (request.method !== "POST") throw new RequestError(405, "Use POST");
    if (options.verify !== undefined) await requireGateway(options.verify, request);
    const body = await readJson(request);
    if (pathname === "/count") {
      const counts = countText(parseCountRequest(body).text);
      served.count += 1;
      response.setHeader("tollgate-units", counts.words);
      return sendJson(response, 200, counts);
    }
    const { text, delayMs } = parseStreamRequest(body);
    served.stream += 1;
    await streamWords(response, text, delayMs);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => sendError(response, error));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

async function requireGateway(verify: GatewayVerifier, request: IncomingMessage): Promise<void> {
  try {
    await verify(request.headers);
  } catch (error) {
    const isRefusal = error instanceof Error && "code" in error && error.code === "UNAUTHORIZED";
    throw new RequestError(isRefusal ? 401 : 503, error instanceof Error ? error.message : "Not verified");
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
