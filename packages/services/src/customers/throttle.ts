import { createHash } from "node:crypto";
import { schema } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";

/**
 * Slows down guessing. A subject (an address, a network address) may be tried a few times at once; after that every
 * further failure makes it wait, twice as long each time. The count is in the database, so it holds over all processes. A
 * try that has to wait is not counted, so hammering does not lock out the owner for longer.
 */
export interface ThrottlePolicy {
  /** Tries before the first wait. */
  readonly attemptsFree: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** A subject that was left alone for so long starts anew. */
  readonly forgetAfterMs: number;
}

export interface ThrottleState {
  readonly attempts: number;
  readonly blockedUntilMs: number;
  readonly updatedAtMs: number;
}

export type ThrottleDecision =
  | { readonly kind: "blocked"; readonly retryAfterMs: number }
  | { readonly kind: "counted"; readonly attempts: number; readonly blockedUntilMs: number };

/** What becomes of one more try. */
export function decideAttempt(
  state: ThrottleState | undefined,
  nowMs: number,
  policy: ThrottlePolicy,
): ThrottleDecision {
  if (state !== undefined && state.blockedUntilMs > nowMs) {
    return { kind: "blocked", retryAfterMs: state.blockedUntilMs - nowMs };
  }
  const isForgotten = state === undefined || nowMs - state.updatedAtMs >= policy.forgetAfterMs;
  const attempts = (isForgotten ? 0 : state.attempts) + 1;
  const excess = attempts - policy.attemptsFree;
  const delayMs = excess < 0 ? 0 : Math.min(policy.delayMsMax, policy.delayMsMin * 2 ** excess);
  return { kind: "counted", attempts, blockedUntilMs: nowMs + delayMs };
}

/** The id of a throttle. What is throttled is kept as a hash, so that the table names nobody. */
export function throttleId(kind: string, subject: string): string {
  return `${kind}:${createHash("sha256").update(subject).digest("base64url")}`;
}

const { throttles } = schema;

/**
 * Counts a try that failed, inside a transaction; or says how long to wait, because other tries came first. A guess that
 * has to wait must not be told whether it was right, so this is asked before the answer is given, not only before the
 * secret is compared: any number of guesses sent at once get no more answers than if they had been sent one by one.
 */
export async function countFailure(ctx: ServiceContext, id: string, policy: ThrottlePolicy): Promise<ThrottleDecision> {
  const decision = decideAttempt(await readState(ctx, id), ctx.clock.nowMs(), policy);
  if (decision.kind === "blocked") return decision;
  const counted = {
    attempts: decision.attempts,
    blockedUntil: new Date(decision.blockedUntilMs),
    updatedAt: ctx.clock.now(),
  };
  await ctx.db
    .insert(throttles)
    .values({ id, ...counted })
    .onConflictDoUpdate({ target: throttles.id, set: counted });
  return decision;
}

/** Milliseconds until a subject may be tried again; 0 for now. */
export async function waitMs(ctx: ServiceContext, id: string): Promise<number> {
  const state = await readState(ctx, id);
  return state === undefined ? 0 : Math.max(0, state.blockedUntilMs - ctx.clock.nowMs());
}

async function readState(ctx: ServiceContext, id: string): Promise<ThrottleState | undefined> {
  const [row] = await ctx.db.select().from(throttles).where(eq(throttles.id, id));
  return row === undefined ? undefined : toState(row);
}

/** Whoever knew the secret need not pay for those who guessed before. */
export async function forgetAttempts(ctx: ServiceContext, id: string): Promise<void> {
  await ctx.db.delete(throttles).where(eq(throttles.id, id));
}

export function tooManyAttempts(retryAfterMs: number): TollgateError {
  const retryAfterSeconds = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return new TollgateError("TOO_MANY_REQUESTS", `Too many attempts: try again in ${retryAfterSeconds} s`, {
    reason: "too_many_attempts",
    retryAfterSeconds,
  });
}

function toState(row: typeof throttles.$inferSelect): ThrottleState {
  return {
    attempts: row.attempts,
    blockedUntilMs: row.blockedUntil.getTime(),
    updatedAtMs: row.updatedAt.getTime(),
  };
}
