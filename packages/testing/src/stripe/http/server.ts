import { randomBase62 } from "@tollgate/kernel";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Fastify from "fastify";
import { ROUTES } from "../resources/index.ts";
import { runUntil } from "../world/timeline.ts";
import type { World } from "../world/world.ts";
import { API_VERSION } from "../world/world.ts";
import { ApiError, invalidRequest } from "./apiError.ts";
import { expanded } from "./expand.ts";
import type { Faults } from "./faults.ts";
import type { Form } from "./formBody.ts";
import { decodeForm } from "./formBody.ts";
import type { Answer, IdempotencyKeys } from "./idempotency.ts";
import { parseParameters } from "./parameters.ts";
import type { Route } from "./route.ts";

export interface ApiOptions {
  readonly world: World;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly idempotency: IdempotencyKeys;
  readonly faults: Faults;
  /** Somebody asked for something: what, for tests that count. */
  onRequest(request: string, idempotencyKey: string | undefined): void;
  /** Something may have changed. */
  onChange(): void;
}

/** What a browser may do with the publishable key, if it knows the intent's client secret. */
const FOR_BROWSERS = /^(?:GET|POST) \/v1\/(?:payment_intents|setup_intents)\/:id(?:\/confirm)?$/;
const BODY_MAX = 1_048_576;

/** Stripe's HTTP over a world. */
export function createApi(options: ApiOptions): FastifyInstance {
  const app = Fastify({ bodyLimit: BODY_MAX, forceCloseConnections: true, routerOptions: { maxParamLength: 300 } });
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_, body, done) =>
    done(null, body),
  );
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => answer(options, route, request, reply),
    });
  }
  app.setNotFoundHandler((request, reply) => {
    const error = new ApiError(
      404,
      "invalid_request_error",
      `Unrecognized request URL (${request.method}: ${request.url}).`,
    );
    return reply
      .code(404)
      .header("request-id", `req_${randomBase62(14)}`)
      .send(error.toBody());
  });
  app.setErrorHandler((error, _, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    return reply.code(status).send(new ApiError(status, "api_error", (error as Error).message).toBody());
  });
  return app;
}

async function answer(options: ApiOptions, route: Route, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const requestId = `req_${randomBase62(14)}`;
  const path = request.url.split("?")[0] ?? "";
  const label = `${request.method} ${path}`;
  const key = request.headers["idempotency-key"];
  options.onRequest(label, typeof key === "string" ? key : undefined);
  const fault = options.faults.take(label);
  if (fault?.kind === "cutBefore") return cut(request);
  if (fault?.kind === "hang") return hang(request, reply);
  const { status, body, isReplay } =
    fault?.kind === "error"
      ? { ...answerOf(new ApiError(500, "api_error", "An unknown error occurred")), isReplay: false }
      : fault?.kind === "rateLimited"
        ? {
            ...answerOf(new ApiError(429, "invalid_request_error", "Too many requests", { code: "rate_limit" })),
            isReplay: false,
          }
        : await answerOnce(options, route, request, {
            path,
            requestId,
            key: typeof key === "string" && request.method === "POST" ? key : undefined,
            delayMs: (fault?.delayMs ?? 0) + options.faults.delayMs,
          });
  if (fault?.kind === "cutAfter") return cut(request);
  reply.code(status).header("request-id", requestId).header("stripe-version", API_VERSION);
  if (typeof key === "string") reply.header("idempotency-key", key);
  if (isReplay) reply.header("idempotent-replayed", "true");
  if (status === 409 || status === 429 || status >= 500) reply.header("stripe-should-retry", "true");
  await reply.send(body);
}

function cut(request: FastifyRequest): void {
  request.raw.socket.destroy();
}

function hang(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.hijack();
  return new Promise((resolve) => request.raw.socket.once("close", () => resolve()));
}

interface Request {
  readonly path: string;
  readonly requestId: string;
  readonly key: string | undefined;
  readonly delayMs: number;
}

async function answerOnce(
  options: ApiOptions,
  route: Route,
  request: FastifyRequest,
  about: Request,
): Promise<Answer & { isReplay: boolean }> {
  const { idempotency } = options;
  const body = typeof request.body === "string" ? request.body : "";
  let first: Answer | undefined;
  try {
    if (about.key !== undefined)
      first = idempotency.begin(about.key, { method: request.method, path: about.path, body });
  } catch (error) {
    return { ...answerOf(error), isReplay: false };
  }
  if (first !== undefined) return { ...first, isReplay: true };
  let isExecuted = false;
  let result: Answer;
  try {
    assertAllowed(options, route, request, body);
    const query = request.url.split("?")[1] ?? "";
    const form = decodeForm(request.method === "GET" || request.method === "DELETE" ? [query, body].join("&") : body);
    const input = parseParameters(route.schema, form);
    isExecuted = true;
    result = { status: 200, body: execute(options, route, request, input, form, about) };
  } catch (error) {
    result = answerOf(error);
  }
  if (about.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, about.delayMs));
  if (about.key !== undefined) {
    if (isExecuted) idempotency.finish(about.key, result);
    else idempotency.forget(about.key);
  }
  return { ...result, isReplay: false };
}

function execute(
  options: ApiOptions,
  route: Route,
  request: FastifyRequest,
  input: unknown,
  form: Form,
  about: Request,
): object {
  const { world } = options;
  runUntil(world, world.now(), null);
  world.request = { id: about.requestId, idempotency_key: about.key ?? null };
  try {
    const params = request.params as Record<string, string>;
    const made = route.handle({ world, input, params, path: about.path });
    return expanded(world, made, Array.isArray(form["expand"]) ? form["expand"].map(String) : undefined);
  } finally {
    world.request = { id: null, idempotency_key: null };
    if (request.method !== "GET") options.onChange();
  }
}

function assertAllowed(options: ApiOptions, route: Route, request: FastifyRequest, body: string): void {
  const key = keyOf(request.headers.authorization);
  if (key === options.secretKey) return;
  if (key !== undefined && key === options.publishableKey && FOR_BROWSERS.test(`${route.method} ${route.path}`)) {
    const id = (request.params as Record<string, string>)["id"] ?? "";
    const { world } = options;
    const secret = (world.paymentIntents.find(id) ?? world.setupIntents.find(id))?.client_secret;
    const given = new URLSearchParams(request.method === "GET" ? request.url.split("?")[1] : body).get("client_secret");
    if (typeof secret === "string" && given === secret) return;
    throw invalidRequest("The client_secret provided does not match the intent.", { param: "client_secret" });
  }
  throw new ApiError(
    401,
    "invalid_request_error",
    key === undefined
      ? "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth."
      : `Invalid API Key provided: ${key.slice(0, 8)}****`,
  );
}

/** The key of `Authorization: Bearer …` or of HTTP's basic authentication. */
function keyOf(header: string | undefined): string | undefined {
  if (header?.startsWith("Bearer ")) return header.slice(7).trim();
  if (!header?.startsWith("Basic ")) return undefined;
  return Buffer.from(header.slice(6), "base64").toString("utf8").split(":")[0];
}

function answerOf(error: unknown): Answer {
  if (error instanceof ApiError) return { status: error.status, body: error.toBody() };
  const message = error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  return { status: 500, body: new ApiError(500, "api_error", message).toBody() };
}
