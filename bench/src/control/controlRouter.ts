import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { keyDto } from "@tollgate/contracts";
import { createDatabase } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId, silentLogger, systemClock, toMicros, unauthorized } from "@tollgate/kernel";
import type { RequestContext } from "@tollgate/routers";
import { customerProcedure, formatError, router } from "@tollgate/routers";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { createTokenIssuer } from "@tollgate/services/customers";
import { createOauthProviders } from "@tollgate/services/oauth";
import { initTRPC, TRPCError } from "@trpc/server";
import superjson from "superjson";
import { z } from "zod";

/**
 * The same authenticated query twice: with the product's builders, and with tRPC and superjson alone as one would set
 * them up. Both run two middlewares, parse the input, parse the output and touch no database.
 */
export const TOKEN = "a-token-that-is-as-long-as-those-of-real-sessions-and-says-nothing";
const PROJECT_ID = "prj_0123456789abcdefghijkl";
const ACTOR: Actor = { kind: "customer", customerId: "cus_1", sessionId: "ses_1", isOperator: false };

const readKeyInput = z.object({ projectId: z.string().min(4).max(64), limit: z.int().min(1).max(100) });
export const INPUT: z.input<typeof readKeyInput> = { projectId: PROJECT_ID, limit: 20 };

const answer = (projectId: string): z.input<typeof keyDto> => ({
  id: "key_0123456789abcdefghijkl",
  projectId,
  name: "default",
  start: "tg_live_0123",
  mode: "live",
  status: "active",
  blockedMessage: null,
  scopes: ["weather", "qr"],
  allowedCidrs: null,
  rateLimitPerSecond: 100,
  monthlySpendCapMicros: null,
  createdAt: new Date(1_763_800_000_000),
  expiresAt: null,
  lastUsedAt: new Date(1_763_811_111_111),
  monthToDateCalls: 12_345,
  monthToDateMicros: toMicros(12_345_000n),
});

/** With the product's builders, error format and transformer. */
export const productRouter = router({
  keys: router({
    read: customerProcedure
      .input(readKeyInput)
      .output(keyDto)
      .query(({ input }) => answer(input.projectId)),
  }),
});

const t = initTRPC.context<RequestContext>().create({
  transformer: superjson,
  errorFormatter: formatError,
  isDev: false,
});
const timedProcedure = t.procedure.use(async ({ next }) => next());
const signedInProcedure = timedProcedure.use(async ({ ctx, next }) => {
  const actor = await ctx.authenticate();
  if (actor.kind === "anonymous") throw new TRPCError({ code: "UNAUTHORIZED" });
  return next({ ctx: { actor } });
});

/** With tRPC and superjson as they come. */
export const stockRouter = t.router({
  keys: t.router({
    read: signedInProcedure
      .input(readKeyInput)
      .output(keyDto)
      .query(({ input }) => answer(input.projectId)),
  }),
});

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
const tokenDigest = digest(TOKEN);

async function authenticate(authorization: string | undefined): Promise<Actor> {
  if (authorization === undefined) return { kind: "anonymous" };
  if (!timingSafeEqual(digest(authorization.slice("Bearer ".length)), tokenDigest)) throw unauthorized();
  return ACTOR;
}

// Pools open when they are first used, and nothing here uses them.
const database = createDatabase({ url: "postgres://nobody@127.0.0.1:1/nothing", applicationName: "bench" });
const settings = {
  masterSecret: "a secret that is long enough for the benchmark",
  publicApiUrl: "http://127.0.0.1",
  publicGatewayUrl: "http://127.0.0.1",
  publicWebUrl: "http://127.0.0.1",
  ...LIVE_SETTING_DEFAULTS,
};
const tokenIssuer = createTokenIssuer({ database, clock: systemClock, settings });
const oauthProviders = createOauthProviders({
  registrations: {},
  publicApiUrl: settings.publicApiUrl,
  returnOrigins: [],
  allowsLocalhost: false,
});

/** The context of a request; the same work for every server. */
export function createContext(request: IncomingMessage): RequestContext {
  return {
    clock: systemClock,
    logger: silentLogger,
    actor: { kind: "anonymous" },
    requestId: newId("request"),
    database,
    db: database.db,
    isInTransaction: false,
    settings,
    // No procedure here streams, or reads or changes a setting.
    live: undefined as never,
    config: undefined as never,
    tokenIssuer,
    oauthProviders,
    isFromBrowser: false,
    authenticate: () => authenticate(request.headers.authorization),
  };
}
