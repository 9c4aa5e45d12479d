import type { Adjustment, GrantSource } from "@tollgate/contracts";
import { balanceCredited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { badRequest, negateMicros, newId, notFound, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { GRANT_PRIORITIES } from "./grantOrder.ts";
import {
  claimTransaction,
  fundingAccount,
  hourCeiling,
  insertEntries,
  lockWallet,
  moveWallet,
  toAdjustment,
  walletAccount,
  writeConsumptions,
} from "./internal.ts";

export interface Credit {
  readonly billingAccountId: string;
  /** More than zero. */
  readonly micros: Micros;
  readonly source: GrantSource;
  /** Unique for the account: the same key and the same credit again change nothing and get the same answer. */
  readonly idempotencyKey: string;
  /** What a person reads on the statement. */
  readonly reference: string;
  /** Whether the customer sees it among their adjustments. */
  readonly visible: boolean;
  /** Rounded up to the whole hour, so that an hour's usage has one answer. Without it the credit does not expire. */
  readonly expiresAt?: Date | undefined;
}

/**
 * Puts credit into a wallet: the one way in, for payments, promotions, subscriptions and operators alike. It asks nothing
 * of the caller's rights; the verb that calls it does. A wallet below zero is made good first, and the grant keeps what
 * is left, so that the remaining amounts of the grants always add up to the posted balance.
 * @throws TollgateError NOT_FOUND for an unknown account; CONFLICT `idempotency_key_reused`; BAD_REQUEST for an amount
 * that is not above zero or an expiry that has passed; UNPROCESSABLE `balance_too_large`
 */
export async function creditWallet(ctx: ServiceContext, credit: Credit): Promise<Adjustment> {
  if (credit.micros <= 0n) throw invalid("micros", "Must be more than zero");
  return withTransaction(ctx, (ctx) => creditInTransaction(ctx, credit), { isIdempotent: true });
}

async function creditInTransaction(ctx: ServiceContext, credit: Credit): Promise<Adjustment> {
  await assertAccount(ctx, credit.billingAccountId);
  const { row: transaction, isNew } = await claimTransaction(ctx, {
    ...credit,
    kind: "credit",
    request: {
      micros: credit.micros.toString(),
      source: credit.source,
      expiresAt: credit.expiresAt?.toISOString() ?? null,
    },
  });
  if (!isNew) return toAdjustment(ctx, transaction);
  if (credit.expiresAt !== undefined && credit.expiresAt.getTime() <= ctx.clock.nowMs()) {
    throw invalid("expiresAt", "Must be in the future");
  }
  const wallet = await lockWallet(ctx, credit.billingAccountId);
  await moveWallet(ctx, wallet, { postedMicros: credit.micros });
  await insertEntries(ctx, transaction.id, [
    { account: walletAccount(credit.billingAccountId), amountMicros: credit.micros },
    { account: fundingAccount(credit.source), amountMicros: negateMicros(credit.micros) },
  ]);
  const grantId = await insertGrant(ctx, transaction.id, credit, toMicros(wallet.limitAmount));
  await writeAudit(ctx, {
    action: "balance.credit",
    subject: credit.billingAccountId,
    after: { transactionId: transaction.id, micros: credit.micros, source: credit.source, reference: credit.reference },
  });
  await appendEvent(ctx, balanceCredited, {
    billingAccountId: credit.billingAccountId,
    transactionId: transaction.id,
    grantId,
    source: credit.source,
    micros: credit.micros.toString(),
  });
  return toAdjustment(ctx, transaction);
}

async function insertGrant(
  ctx: ServiceContext,
  transactionId: string,
  credit: Credit,
  postedBefore: Micros,
): Promise<string> {
  const id = newId("grant");
  const debt = postedBefore < 0n ? negateMicros(postedBefore) : ZERO_MICROS;
  const repaid = debt < credit.micros ? debt : credit.micros;
  await ctx.db.insert(schema.grants).values({
    id,
    billingAccountId: credit.billingAccountId,
    transactionId,
    source: credit.source,
    priority: GRANT_PRIORITIES[credit.source],
    amountMicros: credit.micros,
    remainingMicros: credit.micros,
    reference: credit.reference,
    createdAt: ctx.clock.now(),
    expiresAt: credit.expiresAt === undefined ? null : hourCeiling(credit.expiresAt.getTime()),
  });
  if (repaid > 0n) await writeConsumptions(ctx, transactionId, [{ grantId: id, amountMicros: repaid }]);
  return id;
}

async function assertAccount(ctx: ServiceContext, billingAccountId: string): Promise<void> {
  const { billingAccounts } = schema;
  const [account] = await ctx.db
    .select({ id: billingAccounts.id })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, billingAccountId));
  if (account === undefined) throw notFound("billing account");
}

const invalid = (path: string, message: string) =>
  badRequest(`${path}: ${message.toLowerCase()}`, { issues: [{ path, message }] });
