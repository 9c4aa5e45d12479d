import type { Adjustment, GrantSource } from "@tollgate/contracts";
import { balanceCredited } from "@tollgate/contracts";
import { appendEvent, inPipeline, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { badRequest, hourCeiling, negateMicros, newId, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import { GRANT_PRIORITIES } from "./grantOrder.ts";
import {
  claimTransaction,
  fundingAccount,
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
  const claiming = claimTransaction(ctx, {
    ...credit,
    kind: "credit",
    request: {
      micros: credit.micros.toString(),
      source: credit.source,
      expiresAt: credit.expiresAt?.toISOString() ?? null,
    },
  });
  const [{ row: transaction, isNew }, wallet] = await inPipeline([claiming, lockWallet(ctx, credit.billingAccountId)]);
  if (!isNew) return toAdjustment(ctx, transaction);
  if (credit.expiresAt !== undefined && credit.expiresAt.getTime() <= ctx.clock.nowMs()) {
    throw invalid("expiresAt", "Must be in the future");
  }
  const grantId = newId("grant");
  const { billingAccountId, micros, source, reference } = credit;
  await inPipeline([
    moveWallet(ctx, wallet, { postedMicros: micros }),
    insertEntries(ctx, transaction.id, [
      { account: walletAccount(billingAccountId), amountMicros: micros },
      { account: fundingAccount(source), amountMicros: negateMicros(micros) },
    ]),
    insertGrant(ctx, grantId, transaction.id, credit, toMicros(wallet.limitAmount)),
    writeAudit(ctx, {
      action: "balance.credit",
      subject: billingAccountId,
      after: { transactionId: transaction.id, micros, source, reference },
    }),
    appendEvent(ctx, balanceCredited, {
      ...{ billingAccountId, transactionId: transaction.id, grantId, source, micros: micros.toString() },
    }),
  ]);
  const { id, kind, isVisible, createdAt } = transaction;
  return {
    ...{ id, billingAccountId, kind, amountMicros: micros, reference, visible: isVisible, grantId, createdAt },
    // A payment is tied to its credit afterwards.
    receiptUrl: null,
  };
}

async function insertGrant(
  ctx: ServiceContext,
  id: string,
  transactionId: string,
  credit: Credit,
  postedBefore: Micros,
): Promise<void> {
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
}

const invalid = (path: string, message: string) =>
  badRequest(`${path}: ${message.toLowerCase()}`, { issues: [{ path, message }] });
