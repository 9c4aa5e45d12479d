import type { Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { newCallId } from "@tollgate/kernel";
import { REFUSALS } from "./admission/refusal.ts";
import { answerRefusal } from "./answer.ts";
import type { Gateway } from "./gateway.ts";
import { handleCall } from "./handleCall.ts";
import { answerMalformed, endMalformed, MALFORMED } from "./malformed.ts";
import { handleUpgrade } from "./sockets/handleUpgrade.ts";

/** More than any client sends. Node would forget those beyond its own limit, and with them maybe what the body is. */
const HEADERS_MAX = 100;

/** What the probes say of each dependency. */
export type Readiness = () => { readonly isReady: boolean; readonly dependencies: Readonly<Record<string, string>> };

/**
 * The gateway's HTTP server: calls, probes and metrics. Heads must come within ten seconds and be smaller than 16 KiB, so
 * that a slow or endless one ties up nothing; bodies stream for as long as their endpoint lets them.
 */
export function createGatewayServer(gateway: Gateway, readiness: Readiness): Server {
  const newId = (): string => newCallId(gateway.clock.nowMs());
  const server = createServer(
    {
      keepAliveTimeout: 65_000,
      headersTimeout: 10_000,
      requestTimeout: 300_000,
      maxHeaderSize: 16_384,
      connectionsCheckingInterval: 2_000,
      noDelay: true,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    (request, response) => {
      const url = request.url ?? "/";
      if (request.rawHeaders.length > HEADERS_MAX * 2) {
        answerMalformed(response, MALFORMED.headers, newId());
        return;
      }
      // An offer without `Connection: upgrade` is none: nobody may take it up further on.
      if (request.headers.upgrade !== undefined) delete request.headers.upgrade;
      if (url.startsWith("/v1/")) {
        handleCall(gateway, request, response);
        return;
      }
      switch (url.split("?", 1)[0]) {
        case "/healthz":
          response.writeHead(200, { "content-type": "text/plain" }).end("ok\n");
          return;
        case "/readyz": {
          const state = readiness();
          response
            .writeHead(state.isReady ? 200 : 503, { "content-type": "application/json" })
            .end(`${JSON.stringify({ ready: state.isReady, dependencies: state.dependencies })}\n`);
          return;
        }
        case "/metrics":
          gateway.metrics.registry.metrics().then(
            (text) => response.writeHead(200, { "content-type": gateway.metrics.registry.contentType }).end(text),
            (error: unknown) => {
              gateway.logger.error({ err: error }, "metrics failed");
              response.writeHead(500).end();
            },
          );
          return;
        default:
          answerRefusal(response, url.startsWith("/") ? REFUSALS.noRoute : REFUSALS.badTarget, newId(), url);
      }
    },
  );
  server.maxHeadersCount = 0;
  // A client that waits for a go-ahead gets it when its call is forwarded. One that is refused has not sent its body and
  // never will: what it sends next would be taken for it, so the connection ends.
  server.on("checkContinue", (request, response) => {
    response.shouldKeepAlive = false;
    server.emit("request", request, response);
  });
  server.on("connect", (_, socket) => {
    socket.on("error", () => socket.destroy());
    endMalformed(socket, MALFORMED.method, newId());
  });
  // An HTTP server's connections are TCP sockets; the type allows for others.
  server.on("upgrade", (request, socket, head) => handleUpgrade(gateway, server, request, socket as Socket, head));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === "ECONNRESET" || isAnswering(socket)) {
      socket.destroy();
      return;
    }
    endMalformed(socket, malformedBy(error.code), newId());
  });
  return server;
}

/**
 * Whether the head of an answer has left and its end has not: whatever were written now would be taken for a part of that
 * answer. The server keeps this with the socket, where its own handling of client errors looks, too.
 */
function isAnswering(socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function malformedBy(code: string | undefined): (typeof MALFORMED)[keyof typeof MALFORMED] {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return MALFORMED.headers;
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return MALFORMED.timeout;
    default:
      return MALFORMED.request;
  }
}
