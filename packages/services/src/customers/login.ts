import type { loginInput, SessionTokens } from "@tollgate/contracts";
import { customersLoggedIn } from "@tollgate/contracts";
import { appendEvent, retryRead, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { forbidden, newId, unauthorized } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "./internal.ts";
import { actingAs, holdsEmail } from "./internal.ts";
import { verifyPassword } from "./passwords.ts";
import type { OpenedSession } from "./sessions.ts";
import { issueTokens, makeRefreshToken, openSession } from "./sessions.ts";
import type { ThrottlePolicy } from "./throttle.ts";
import { countFailure, forgetAttempts, throttleId, tooManyAttempts, waitMs } from "./throttle.ts";
import type { TokenContext } from "./tokenIssuer.ts";

const PER_EMAIL: ThrottlePolicy = {
  attemptsFree: 5,
  delayMsMin: 1_000,
  delayMsMax: 15 * 60_000,
  forgetAfterMs: 3_600_000,
};
/** Many people may share an address, so it is slowed down later and for less. */
const PER_ADDRESS: ThrottlePolicy = {
  attemptsFree: 100,
  delayMsMin: 1_000,
  delayMsMax: 60_000,
  forgetAfterMs: 15 * 60_000,
};
/** Everybody who guesses at one password meets at one row. */
const ATTEMPTS_MAX = 40;

/** Guesses at the password of an address are counted here. */
export const loginEmailThrottle = (email: string): string => throttleId("login_email", email);

type Outcome =
  | { readonly kind: "opened"; readonly session: OpenedSession }
  | { readonly kind: "wait"; readonly retryAfterMs: number }
  | { readonly kind: "refused"; readonly error: TollgateError };

/**
 * Signs in with a password. Unknown address and wrong password get the same answer after the same work.
 * @throws TollgateError UNAUTHORIZED `wrong_credentials`; TOO_MANY_REQUESTS `too_many_attempts`; FORBIDDEN
 * `customer_banned`, to those only who know the password
 */
export async function login({
  ctx,
  input,
}: {
  readonly ctx: TokenContext;
  readonly input: z.output<typeof loginInput>;
}): Promise<SessionTokens> {
  const emailThrottle = loginEmailThrottle(input.email);
  const addressThrottle = throttleId("login_address", ctx.ip ?? "unknown");
  const [person, ...waits] = await retryRead(() =>
    Promise.all([findPerson(ctx, input.email), waitMs(ctx, emailThrottle), waitMs(ctx, addressThrottle)]),
  );
  const retryAfterMs = Math.max(...waits);
  if (retryAfterMs > 0) throw tooManyAttempts(retryAfterMs);
  const isRight = await verifyPassword(person?.hash ?? undefined, input.password);
  const customer = isRight ? person?.customer : undefined;
  const outcome = await withTransaction(ctx, (ctx) => settle(ctx, emailThrottle, customer), {
    attemptsMax: ATTEMPTS_MAX,
  });
  switch (outcome.kind) {
    case "opened":
      return issueTokens(ctx, outcome.session);
    case "wait":
      throw tooManyAttempts(outcome.retryAfterMs);
    case "refused":
      await withTransaction(ctx, (ctx) => countFailure(ctx, addressThrottle, PER_ADDRESS), {
        attemptsMax: ATTEMPTS_MAX,
      });
      throw outcome.error;
  }
}

interface Person {
  readonly customer: CustomerRow;
  readonly hash: string | null;
}

async function findPerson(ctx: ServiceContext, email: string): Promise<Person | undefined> {
  const { customers, passwords } = schema;
  const [row] = await ctx.db
    .select({ customer: customers, hash: passwords.hash })
    .from(customers)
    .leftJoin(passwords, eq(passwords.customerId, customers.id))
    .where(holdsEmail(email));
  return row;
}

/** Opens a session, or counts the failure; what is counted must be committed, so nothing is thrown here. */
async function settle(ctx: TokenContext, emailThrottle: string, customer: CustomerRow | undefined): Promise<Outcome> {
  if (customer === undefined) {
    const decision = await countFailure(ctx, emailThrottle, PER_EMAIL);
    if (decision.kind === "blocked") return { kind: "wait", retryAfterMs: decision.retryAfterMs };
    return { kind: "refused", error: wrongCredentials() };
  }
  // What does not depend on one another goes out together: a transaction's connection answers in order.
  const [retryAfterMs, [present]] = await Promise.all([
    waitMs(ctx, emailThrottle),
    // The ban or deletion may have come while the password was compared.
    ctx.db.select().from(schema.customers).where(eq(schema.customers.id, customer.id)),
  ]);
  if (retryAfterMs > 0) return { kind: "wait", retryAfterMs };
  if (present?.status === "banned") return { kind: "refused", error: banned() };
  if (present?.status !== "verified") return { kind: "refused", error: wrongCredentials() };
  const token = makeRefreshToken(ctx.settings.masterSecret, newId("session"));
  const { sessionId } = token;
  const acting = actingAs(ctx, present, sessionId);
  const [session] = await Promise.all([
    openSession(ctx, present, token),
    forgetAttempts(ctx, emailThrottle),
    writeAudit(acting, { action: "customers.login", subject: present.id, after: { sessionId } }),
    appendEvent(acting, customersLoggedIn, { customerId: present.id, sessionId, method: "password" }),
  ]);
  return { kind: "opened", session };
}

function wrongCredentials(): TollgateError {
  return unauthorized("The email address or the password is wrong", { reason: "wrong_credentials" });
}

function banned(): TollgateError {
  return forbidden("This account is banned", { reason: "customer_banned" });
}
