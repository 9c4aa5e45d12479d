import type { IncomingMessage, Server } from "node:http";
import { createServer, STATUS_CODES } from "node:http";
import type { DataDeletionHandler } from "@tollgate/client/upstream";
import { CodeCache } from "./codeCache.ts";
import { ParameterError, parseQrOptions } from "./options.ts";

/** Longer than gateways keep an idle connection, so that it is never this side that closes one under a request. */
const KEEP_ALIVE_MS = 65_000;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

/** The service: `GET /generate`, `GET /healthz`, and `GET /served`, how many calls it has answered. `POST /delete-data` is for the control plane. */
export function createQrServer(options: { readonly deleteData?: DataDeletionHandler } = {}): Server {
  const served = { generate: 0 };
  const codes = new CodeCache();
  const answer = (request: IncomingMessage): Answer => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://service");
    if (request.method !== "GET") return problem(405, "Use GET");
    switch (pathname) {
      case "/healthz":
        return json({ status: "ok" });
      case "/served":
        return json({ total: served.generate, byEndpoint: served });
      case "/generate": {
        const body = codes.png(parseQrOptions(searchParams));
        served.generate += 1;
        return { status: 200, type: "image/png", body };
      }
      default:
        return problem(404, "No such endpoint");
    }
  };
  const answerAlways = (request: IncomingMessage): Answer => {
    try {
      return answer(request);
    } catch (error) {
      if (error instanceof ParameterError) return problem(400, error.message);
      console.error(error);
      return problem(500, "Something went wrong");
    }
  };
  const server = createServer((request, response) => {
    if (request.url === "/delete-data" && options.deleteData !== undefined) {
      void options.deleteData(request, response);
      return;
    }
    const { status, type, body } = answerAlways(request);
    response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

function json(value: unknown): Answer {
  return { status: 200, type: "application/json", body: JSON.stringify(value) };
}

function problem(status: number, detail: string): Answer {
  const body = JSON.stringify({ title: STATUS_CODES[status], status, detail });
  return { status, type: "application/problem+json", body };
}
