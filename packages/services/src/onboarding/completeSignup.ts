import type { completeSignupInput, SignedIn } from "@tollgate/contracts";
import { customersSignedUp } from "@tollgate/contracts";
import { appendEvent, retryRead, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";
import { isMailboxBanned } from "../customers/bans.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { actingAs, toCustomer } from "../customers/internal.ts";
import { assertUncommonPassword, hashPassword, savePassword, verifyPassword } from "../customers/passwords.ts";
import type { OpenedSession } from "../customers/sessions.ts";
import { issueTokens, openSession } from "../customers/sessions.ts";
import type { TokenContext } from "../customers/tokenIssuer.ts";
import type { VerificationRow } from "./checkCode.ts";
import { checkCode, invalidCode } from "./checkCode.ts";
import { establishCustomer } from "./establishCustomer.ts";

/** Repetitions of one sign-up meet at one row. */
const ATTEMPTS_MAX = 40;
const { customers, passwords, verifications } = schema;

type Input = z.output<typeof completeSignupInput>;

/**
 * Finishes a sign-up with the code from the mail: the customer is verified, has a password, a project, a billing account
 * and a wallet, all in one transaction, and is signed in. Repeating it with the same code and password, also at once,
 * changes nothing more and signs in again, until the code expires.
 * @throws TollgateError BAD_REQUEST `invalid_code`, `common_password`
 */
export async function completeSignup({
  ctx,
  input,
}: {
  readonly ctx: TokenContext;
  readonly input: Input;
}): Promise<SignedIn> {
  assertUncommonPassword(input.password, input.email);
  const verification = await checkCode(ctx, { purpose: "signup", email: input.email }, input.code);
  const session =
    (verification.consumedAt === null ? await finishFirst(ctx, input, verification) : undefined) ??
    (await signInAgain(ctx, input, verification));
  return { ...(await issueTokens(ctx, session)), customer: toCustomer(session.customer) };
}

/** Does everything once; undefined if another request has done it. */
async function finishFirst(
  ctx: TokenContext,
  input: Input,
  verification: VerificationRow,
): Promise<OpenedSession | undefined> {
  const hashed = await hashPassword(input.password);
  return withTransaction(
    ctx,
    async (ctx) => {
      const consumed = await ctx.db
        .update(verifications)
        .set({ consumedAt: ctx.clock.now() })
        .where(and(eq(verifications.id, verification.id), isNull(verifications.consumedAt)))
        .returning({ id: verifications.id });
      if (consumed.length === 0) return undefined;
      const customer = await requireSignable(ctx, verification.customerId);
      const session = await openSession(ctx, customer);
      return establish(actingAs(ctx, customer, session.sessionId), session, hashed);
    },
    { attemptsMax: ATTEMPTS_MAX, isIdempotent: true },
  );
}

/** The customer who signs up: not banned, not deleted, and without a password that this would replace. */
async function requireSignable(ctx: ServiceContext, customerId: string): Promise<CustomerRow> {
  const [row] = await ctx.db
    .select({ customer: customers, passwordOf: passwords.customerId })
    .from(customers)
    .leftJoin(passwords, eq(passwords.customerId, customers.id))
    .where(eq(customers.id, customerId));
  const mayBeSigned = row?.customer.status === "unverified" || row?.customer.status === "verified";
  if (row === undefined || !mayBeSigned || row.passwordOf !== null) throw invalidCode();
  if (await isMailboxBanned(ctx, row.customer.email)) throw invalidCode();
  return row.customer;
}

async function establish(ctx: TokenContext, session: OpenedSession, hashed: string): Promise<OpenedSession> {
  const { customer } = session;
  await savePassword(ctx, customer.id, hashed);
  const verified = await establishCustomer(ctx, customer);
  await writeAudit(ctx, {
    action: "onboarding.completeSignup",
    subject: customer.id,
    after: { sessionId: session.sessionId },
  });
  await appendEvent(ctx, customersSignedUp, { customerId: customer.id, method: "email" });
  return { ...session, customer: verified };
}

/** For a request that is repeated: whoever has the code and the password that was set with it. */
async function signInAgain(ctx: TokenContext, input: Input, verification: VerificationRow): Promise<OpenedSession> {
  const [password] = await retryRead(() =>
    ctx.db.select({ hash: passwords.hash }).from(passwords).where(eq(passwords.customerId, verification.customerId)),
  );
  if (!(await verifyPassword(password?.hash, input.password))) throw invalidCode();
  return withTransaction(ctx, async (ctx) => {
    const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, verification.customerId));
    if (customer?.status !== "verified") throw invalidCode();
    const session = await openSession(ctx, customer);
    const acting = actingAs(ctx, customer, session.sessionId);
    await writeAudit(acting, {
      action: "onboarding.completeSignup",
      subject: customer.id,
      after: { sessionId: session.sessionId, isRepetition: true },
    });
    return session;
  });
}
