import { createRequire } from "node:module";
import path from "node:path";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { FastifyAdapter } from "@bull-board/fastify";
import { QUEUES } from "@tollgate/contracts";
import type { Actor } from "@tollgate/kernel";
import { forbidden, isAdmin, TollgateError, toProblem, unauthorized, unavailable } from "@tollgate/kernel";
import type { Queues } from "@tollgate/messaging";
import { recordJobAction } from "@tollgate/services/admin";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { bearerToken } from "./authentication.ts";
import { renderSignIn, SIGN_IN_POLICY } from "./queueBoardPage.ts";
import type { ServerResources } from "./requestContext.ts";
import { createRequestContext } from "./requestContext.ts";

/**
 * The operators' view of the queues (`/admin/queues`): Bull Board, behind a cookie that holds an operator's access token.
 * The token is looked at with every request, as it is anywhere else, so signing out, a ban, and the loss of the operator's
 * rights end it within a second, and the quarter of an hour that a token lasts ends it anyway.
 */
export const QUEUE_BOARD_PATH = "/admin/queues";
const COOKIE = "tollgate_queues";

/** The page brings styles with its elements; scripts, data and everything else come from here alone. */
const BOARD_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/**
 * What may be changed from the board. Each is safe because jobs may run twice, and because what matters is a row first: a
 * removed job is ordered again by its sweep. The board's other buttons (adding and rewriting jobs, emptying, pausing) are
 * refused: they would act on money and mails by hand.
 */
const ALLOWED_CHANGES = [
  { pattern: /^\/api\/queues\/([a-z]+)\/([^/]+)\/retry$/, action: "retry" },
  { pattern: /^\/api\/queues\/([a-z]+)\/([^/]+)\/promote$/, action: "promote" },
  { pattern: /^\/api\/queues\/([a-z]+)\/([^/]+)\/clean$/, action: "remove" },
  { pattern: /^\/api\/queues\/([a-z]+)\/retry\/(?:failed|completed)$/, action: "retryAll" },
  { pattern: /^\/api\/queues\/([a-z]+)\/promote$/, action: "promoteAll" },
] as const;

/** Puts the board and its sign-in at {@link QUEUE_BOARD_PATH}. */
export async function addQueueBoard(app: FastifyInstance, resources: ServerResources, queues: Queues): Promise<void> {
  addSession(app, resources);
  const board = new FastifyAdapter();
  board.setBasePath(QUEUE_BOARD_PATH);
  createBullBoard({
    queues: QUEUES.map((name) => new BullMQAdapter(queues.queue(name), { description: `The queue ${name}` })),
    serverAdapter: board,
    options: {
      uiBasePath: path.dirname(createRequire(import.meta.url).resolve("@bull-board/ui/package.json")),
      uiConfig: { boardTitle: "Tollgate queues", hideDocsLink: true },
    },
  });
  await app.register(async (scope) => {
    scope.addHook("onRequest", async (request, reply) => guard(resources, queues, request, reply));
    await scope.register(board.registerPlugin(), { prefix: QUEUE_BOARD_PATH });
  });
}

/**
 * `POST /admin/queues/session` with an operator's access token as bearer sets the cookie. A page of another origin cannot
 * send that header, so it can neither sign anybody in nor use the cookie, which goes with requests of this site alone.
 */
function addSession(app: FastifyInstance, resources: ServerResources): void {
  app.post(`${QUEUE_BOARD_PATH}/session`, async (request, reply) => {
    const ctx = createRequestContext(resources, request.raw, reply.raw);
    const actor = await ctx.authenticate();
    const token = bearerToken(request.headers.authorization);
    if (token === undefined) throw unauthorized();
    if (!isAdmin(actor)) throw forbidden("Only an operator may do this");
    const { expiresAtMs } = await resources.tokenIssuer.verifyAccessToken(token);
    const seconds = Math.max(0, Math.floor((expiresAtMs - resources.clock.nowMs()) / 1_000));
    const secure = resources.settings.publicApiUrl.startsWith("https:") ? "; Secure" : "";
    return reply
      .code(204)
      .header("cache-control", "no-store")
      .header(
        "set-cookie",
        `${COOKIE}=${token}; Path=${QUEUE_BOARD_PATH}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`,
      )
      .send();
  });
}

async function guard(
  resources: ServerResources,
  queues: Queues,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  reply
    .header("cache-control", "no-store")
    .header("referrer-policy", "no-referrer")
    .header("x-content-type-options", "nosniff")
    .header("content-security-policy", BOARD_POLICY);
  const actor = await identify(resources, request);
  if (actor === undefined) {
    if (request.method === "GET" && request.headers.accept?.includes("text/html") === true) {
      return reply
        .code(401)
        .header("content-security-policy", SIGN_IN_POLICY)
        .type("text/html; charset=utf-8")
        .send(renderSignIn());
    }
    return refuse(reply, request, unauthorized());
  }
  if (!isAdmin(actor)) return refuse(reply, request, forbidden("Only an operator may do this"));
  if (!pathOf(request).startsWith("/api/")) return undefined;
  const isReachable = await queues.ping().then(
    () => true,
    () => false,
  );
  if (!isReachable) {
    return refuse(reply, request, unavailable("The queues cannot be reached", { reason: "queues_unavailable" }));
  }
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  return admitChange(resources, actor, request, reply);
}

/** Lets a change through that was made on this very page, is one of the allowed, and has been written down. */
async function admitChange(
  resources: ServerResources,
  actor: Actor,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  if (!isSameOrigin(request, resources.settings.publicApiUrl)) {
    return refuse(reply, request, forbidden("Changes are made on the board's own page", { reason: "cross_origin" }));
  }
  for (const { pattern, action } of ALLOWED_CHANGES) {
    const [matches, queue, jobId] = pattern.exec(pathOf(request)) ?? [];
    if (matches === undefined || queue === undefined) continue;
    const ctx = { ...createRequestContext(resources, request.raw, reply.raw), actor };
    await recordJobAction({ ctx, input: { action, queue, jobId: jobId ?? null } });
    return undefined;
  }
  return refuse(reply, request, forbidden("This is not changed by hand", { reason: "change_not_allowed" }));
}

/** Whoever the cookie stands for; undefined without one, and for one that has ended. */
async function identify(resources: ServerResources, request: FastifyRequest): Promise<Actor | undefined> {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const token = pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  if (token === undefined) return undefined;
  try {
    return await resources.accessTokens.authenticateAccessToken(token);
  } catch (error) {
    if (error instanceof TollgateError && error.code === "UNAUTHORIZED") return undefined;
    throw error;
  }
}

/** Browsers say where a page that changes something is from; what does not say it is no browser. */
function isSameOrigin(request: FastifyRequest, publicApiUrl: string): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || !URL.canParse(origin)) return false;
  return origin === new URL(publicApiUrl).origin || new URL(origin).host === host;
}

/** Answered here and not thrown: the board would answer an error of its routes in its own way. */
function refuse(reply: FastifyReply, request: FastifyRequest, error: TollgateError): FastifyReply {
  return reply
    .code(error.status)
    .type("application/problem+json")
    .send(JSON.stringify(toProblem(error, request.id, request.url.split("?", 1)[0])));
}

/** Below the board's own path, without the query. */
const pathOf = (request: FastifyRequest): string => (request.url.split("?", 1)[0] ?? "").slice(QUEUE_BOARD_PATH.length);
