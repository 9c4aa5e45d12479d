import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as NetServer } from "node:net";
import type { TollgateError } from "@tollgate/kernel";
import type { RequestContext } from "@tollgate/routers";
import { appRouter, toTollgateError } from "@tollgate/routers";
import type { FailedCall } from "@tollgate/routers/http";
import { createEventsHandler, createRestHandler, createTrpcHandler, EVENTS_PATH } from "@tollgate/routers/http";
import { LiveStreams } from "@tollgate/services/live";
import { readPipeline } from "@tollgate/services/usage";
import type { AnyTRPCRouter, inferRouterContext } from "@trpc/server";
import type { CorsPolicy } from "./cors.ts";
import { applyCors } from "./cors.ts";
import type { Dependencies } from "./dependencies.ts";
import { ApiMetrics } from "./metrics.ts";
import { createPages } from "./pages.ts";
import type { ApiResources } from "./requestContext.ts";
import { createRequestContext } from "./requestContext.ts";
import { traceRequest } from "./traceRequest.ts";

export interface ApiServerOptions {
  readonly resources: ApiResources;
  readonly dependencies: Omit<Dependencies, "database">;
  readonly cors: CorsPolicy;
  /** Another router than the product's, for tests of the server itself. */
  readonly router?: AnyTRPCRouter;
  readonly timeouts?: { readonly headersMs?: number; readonly requestMs?: number };
}

export interface ApiServer {
  /** @returns where it listens; port 0 takes a free one */
  listen(host: string, port: number): Promise<{ readonly url: string }>;
  /**
   * Takes no new connections, ends the streams so that their clients connect elsewhere, answers what is in flight and
   * what still comes over open connections, telling each to close, and cuts what is left at the deadline.
   */
  close(deadlineMs?: number): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than that of usual load balancers (60 s), so that they and not we close an idle connection. */
const KEEP_ALIVE_MS = 72_000;
const CLOSE_DEADLINE_MS = 8_000;
/** A request that is on its way over an idle connection when we stop gets this long to arrive. */
const IDLE_GRACE_MS = 250;

/** The HTTP server of the control plane. It listens when told to. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { cors } = options;
  const { database, clock, logger, bus } = options.resources;
  const live = new LiveStreams({ database, clock, logger, news: bus });
  const resources = { ...options.resources, live };
  const router: AnyTRPCRouter = options.router ?? appRouter;
  const state = { isDraining: false };
  const metrics = new ApiMetrics(
    () => live.size,
    () => readPipeline(database, clock),
  );
  const shared = {
    router,
    createContext: (request: IncomingMessage, response: ServerResponse) =>
      createRequestContext(resources, request, response),
    onError: (failure: FailedCall<inferRouterContext<AnyTRPCRouter>>) => logFailure(resources, failure),
  };
  const handleTrpc = createTrpcHandler({
    ...shared,
    prefix: "/trpc/",
    onCall: (path, error, startedAtMs) => metrics.observeCall("trpc", path, error, startedAtMs),
  });
  const handleRest = createRestHandler({
    ...shared,
    prefix: "/rest/",
    onCall: (path, error, startedAtMs) => metrics.observeCall("rest", path, error, startedAtMs),
  });
  const handleEvents = createEventsHandler({
    ...shared,
    onCall: (path, error, startedAtMs) => metrics.observeCall("rest", path, error, startedAtMs),
  });
  const pages = await createPages({
    resources,
    dependencies: { ...options.dependencies, database: resources.database },
    metrics,
    router,
    isDraining: () => state.isDraining,
  });
  const server = createServer(
    {
      headersTimeout: options.timeouts?.headersMs ?? HEADERS_TIMEOUT_MS,
      requestTimeout: options.timeouts?.requestMs ?? REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 500,
    },
    (request, response) => {
      if (state.isDraining) response.shouldKeepAlive = false;
      if (applyCors(cors, request, response)) return;
      traceRequest(request, response, () => {
        const url = request.url ?? "";
        if (url.startsWith("/trpc/")) handleTrpc(request, response);
        else if (url.startsWith("/rest/")) handleRest(request, response);
        else if (url === EVENTS_PATH || url.startsWith(`${EVENTS_PATH}?`)) handleEvents(request, response);
        else pages.routing(request, response);
      });
    },
  );
  return {
    listen: (host, port) => listen(server, host, port),
    close: async (deadlineMs = CLOSE_DEADLINE_MS) => {
      state.isDraining = true;
      live.close();
      await drain(server, deadlineMs);
      await pages.close();
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<{ readonly url: string }> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const address = server.address() as AddressInfo;
      const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve({ url: `http://${name}:${address.port}` });
    });
  });
}

async function drain(server: Server, deadlineMs: number): Promise<void> {
  if (!server.listening) return;
  // The HTTP server's own close() would cut idle connections at once, and with them a request that is on the wire.
  const closed = new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_GRACE_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(deadline);
}

/** Our own faults are errors with everything there is to know; the caller's are worth a line when somebody looks. */
function logFailure(resources: ApiResources, failure: FailedCall<RequestContext | undefined>): void {
  const error: TollgateError = toTollgateError(failure.error);
  const logger = failure.ctx?.logger ?? resources.logger;
  const about = { procedure: failure.path, kind: error.code, reason: error.reason };
  if (error.isFault) logger.error({ ...about, err: error.cause ?? error }, "call failed");
  else logger.debug(about, "call refused");
}
