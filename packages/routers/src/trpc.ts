import { isConnectionFailure, isSerializationConflict, retryRead } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { forbidden, isAdmin, isReadOnly, isService, readOnly, unauthorized, unavailable } from "@tollgate/kernel";
import { initTRPC } from "@trpc/server";
import type { z } from "zod";
import type { RequestContext } from "./context.ts";
import { formatError } from "./errors.ts";
import { wireTransformer } from "./wire.ts";

/** Who may call a procedure at all. */
export type Caller = "public" | "authenticated" | "customer" | "admin" | "service" | "admin or service";

/** What the reference says of a procedure. */
export interface ProcedureMeta {
  /** One or two sentences for the people who call it. */
  readonly description?: string;
  /** Fields of an example input, where those that the schema requires are not enough. */
  readonly example?: Readonly<Record<string, unknown>>;
  /** Bytes of a body that this procedure takes from operators and services, where that is more than usual. */
  readonly bodyBytesMax?: number;
  /** A change that goes on while the product is in maintenance: without it no operator could sign in to end that. */
  readonly isOpenInMaintenance?: boolean;
  /** What each message of a subscription holds. */
  readonly message?: z.ZodType;
  /** Over REST, a subscription whose messages are pieces of a text is that text. Without it, it is a stream of events. */
  readonly streamsAs?: "text/csv";
  /** Set by the builders. */
  readonly caller?: Caller;
}

/** A stream says so often that it is alive: proxies cut what is silent for a minute, and clients what is for 30 s. */
export const STREAM_PING_MS = 10_000;

/**
 * The builders are named by who may call. They answer "who are you"; whether this caller may touch this record is the
 * verb's question, so a procedure is never the only thing between a stranger and a row.
 *
 * Outputs are validated in production too: for the records of this API that is a few microseconds, and it is what
 * guarantees that a column added to a row tomorrow does not leave with the answer, because fields that the contract does
 * not name are dropped.
 */
const t = initTRPC
  .context<RequestContext>()
  .meta<ProcedureMeta>()
  .create({
    transformer: wireTransformer,
    errorFormatter: formatError,
    isDev: false,
    sse: {
      ping: { enabled: true, intervalMs: STREAM_PING_MS },
      client: { reconnectAfterInactivityMs: 3 * STREAM_PING_MS },
    },
  });

export const { router } = t;

/**
 * Anyone, signed in or not. Reads run again when they lost against a write: SERIALIZABLE may fail a read, and repeating
 * it has no effect.
 */
export const publicProcedure = t.procedure.meta({ caller: "public" }).use(async ({ ctx, meta, type, next }) => {
  if (type === "mutation" && ctx.settings.maintenance && meta?.isOpenInMaintenance !== true) await requireOperator(ctx);
  if (type !== "query") return next();
  return retryRead(async () => {
    const result = await next();
    if (result.ok) return result;
    // tRPC hands failures over as values; the retry wants them thrown.
    const { cause } = result.error;
    if (isSerializationConflict(cause) || isConnectionFailure(cause)) throw cause;
    return result;
  });
});

/** @throws TollgateError UNAVAILABLE `maintenance` for anyone but an operator */
async function requireOperator(ctx: RequestContext): Promise<void> {
  const actor = await ctx.authenticate().catch((): Actor => ({ kind: "anonymous" }));
  if (isAdmin(actor)) return;
  throw unavailable("Tollgate is in maintenance: nothing can be changed for the moment. Try again later", {
    reason: "maintenance",
    retryAfterSeconds: 60,
  });
}

const procedureFor = (caller: Caller, assertMayCall: (actor: Actor) => void) =>
  publicProcedure.meta({ caller }).use(async ({ ctx, type, next }) => {
    const actor = await ctx.authenticate();
    if (actor.kind === "anonymous") throw unauthorized();
    if (type === "mutation" && isReadOnly(actor)) throw readOnly();
    assertMayCall(actor);
    return next({ ctx: { actor } });
  });

/** Anyone who has authenticated: a customer, an operator or a service. */
export const authenticatedProcedure = procedureFor("authenticated", () => undefined);

/** A signed-in person. */
export const customerProcedure = procedureFor("customer", (actor) => {
  if (actor.kind !== "customer") throw forbidden("Only a signed-in person may do this");
});

/** An operator. */
export const adminProcedure = procedureFor("admin", (actor) => {
  if (!isAdmin(actor)) throw forbidden("Only an operator may do this");
});

/** An internal task, or a service with a token. */
export const serviceProcedure = procedureFor("service", (actor) => {
  if (!isService(actor)) throw forbidden("Only a service may do this");
});

/** An operator or a service. */
export const adminOrServiceProcedure = procedureFor("admin or service", (actor) => {
  if (!isAdmin(actor) && !isService(actor)) throw forbidden("Only an operator or a service may do this");
});
