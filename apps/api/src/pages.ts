import { TollgateError, toProblem } from "@tollgate/kernel";
import { describeApi, renderReference } from "@tollgate/routers/openapi";
import type { AnyTRPCRouter } from "@trpc/server";
import type { FastifyInstance } from "fastify";
import fastify from "fastify";
import type { Dependencies } from "./dependencies.ts";
import { probeDependencies } from "./dependencies.ts";
import { addExportDownload } from "./exportDownload.ts";
import { renderLanding } from "./landing.ts";
import type { ApiMetrics } from "./metrics.ts";
import { addOauthReturn } from "./oauthReturn.ts";
import { addQueueBoard } from "./queueBoard.ts";
import type { ServerResources } from "./requestContext.ts";
import { requestIdOf } from "./requestFacts.ts";
import { addStatusPage } from "./statusPage.ts";
import { addStripeWebhook } from "./stripeWebhook.ts";
import { addUnsubscribePage } from "./unsubscribePage.ts";

/**
 * Everything that is not a call of a procedure: what machines probe and scrape, and what people read. None of it is hot,
 * so it runs on fastify.
 */
export interface PageOptions {
  readonly resources: ServerResources;
  readonly dependencies: Dependencies;
  readonly metrics: ApiMetrics;
  readonly router: AnyTRPCRouter;
  /** Whether the process is going away and wants no new work. */
  isDraining(): boolean;
}

export async function createPages(options: PageOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    genReqId: (request) => requestIdOf(request),
    bodyLimit: 1024 * 1024,
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
  });
  answerProblems(app, options);
  addProbes(app, options);
  addDocuments(app, options);
  addOauthReturn(app, options.resources);
  addExportDownload(app, options.resources);
  await addStripeWebhook(app, options.resources);
  await addStatusPage(app, options.resources);
  await addUnsubscribePage(app, options.resources);
  const { queues } = options.resources;
  if (queues !== undefined) await addQueueBoard(app, options.resources, queues);
  await app.ready();
  return app;
}

function answerProblems(app: FastifyInstance, { resources }: PageOptions): void {
  app.setNotFoundHandler(async (request, reply) => {
    const error = new TollgateError("NOT_FOUND", `Nothing is at ${request.method} ${pathOf(request.url)}`);
    return reply
      .code(404)
      .type("application/problem+json")
      .send(JSON.stringify(toProblem(error, request.id, pathOf(request.url))));
  });
  app.setErrorHandler(async (thrown, request, reply) => {
    const error = thrown instanceof TollgateError ? thrown : fromFastify(thrown);
    if (error === undefined || error.isFault) {
      resources.logger.error({ err: thrown, requestId: request.id }, "request failed");
    }
    return reply
      .code(error?.status ?? 500)
      .type("application/problem+json")
      .send(JSON.stringify(toProblem(error ?? thrown, request.id, pathOf(request.url))));
  });
}

/** Fastify's own refusals (a body that is too large, JSON that is none) carry a status below 500. */
function fromFastify(thrown: unknown): TollgateError | undefined {
  const { statusCode } = thrown as { statusCode?: unknown };
  if (statusCode === 413) return new TollgateError("PAYLOAD_TOO_LARGE", "The body is too large");
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new TollgateError("BAD_REQUEST", thrown instanceof Error ? thrown.message : "Bad request");
  }
  return undefined;
}

function addProbes(app: FastifyInstance, options: PageOptions): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_, reply) => {
    const { isReady, dependencies } = await probeDependencies(options.dependencies);
    const isDraining = options.isDraining();
    const status = isDraining ? "draining" : isReady ? "ready" : "unavailable";
    return reply
      .code(isReady && !isDraining ? 200 : 503)
      .send({ status, dependencies, settings: options.resources.config.status() });
  });
  app.get("/metrics", async (_, reply) => {
    const { registry } = options.metrics;
    return reply.type(registry.contentType).send(await registry.metrics());
  });
}

function addDocuments(app: FastifyInstance, { resources, router }: PageOptions): void {
  const document = describeApi(router, { serverUrl: resources.settings.publicApiUrl });
  const json = JSON.stringify(document);
  const reference = renderReference(document);
  const landing = renderLanding(resources.settings);
  app.get("/.well-known/jwks.json", async (_, reply) =>
    // Shorter than a retired key is accepted, so that nobody misses a new one.
    reply.header("cache-control", "public, max-age=300").send(await resources.tokenIssuer.getJwks()),
  );
  app.get("/openapi.json", async (_, reply) => reply.type("application/json").send(json));
  app.get("/reference", async (_, reply) => sendPage(reply, reference));
  app.get("/", async (_, reply) => sendPage(reply, landing));
}

/** Pages bring their own style and script and load nothing from elsewhere. */
function sendPage<
  Reply extends { header(name: string, value: string): Reply; type(type: string): Reply; send(page: string): Reply },
>(reply: Reply, page: string): Reply {
  return reply
    .header(
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    )
    .header("x-content-type-options", "nosniff")
    .type("text/html; charset=utf-8")
    .send(page);
}

const pathOf = (url: string): string => url.split("?", 1)[0] ?? url;
