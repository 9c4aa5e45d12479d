import type { Adjustment, transferInput } from "@tollgate/contracts";
import { balanceCredited, balanceDebited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { negateMicros, newId, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin, requireAdmin } from "../permissions.ts";
import type { SpendableGrant } from "./grantOrder.ts";
import { consumeGrants } from "./grantOrder.ts";
import {
  claimTransaction,
  insertEntries,
  lockWallet,
  moveWallet,
  toAdjustment,
  walletAccount,
  writeConsumptions,
} from "./internal.ts";
import type { TakenCredit } from "./takeCredit.ts";
import { takeCredit } from "./takeCredit.ts";

type Transfer = z.output<typeof transferInput>;

/**
 * An operator moves credit between accounts, in one ledger transaction. It stays what it was: each part keeps its source
 * and its expiry, so a promotion does not become money. The answer is the giving account's side.
 * @throws TollgateError NOT_FOUND; PAYMENT_REQUIRED `insufficient_credit`; CONFLICT `idempotency_key_reused`; UNAUTHORIZED, FORBIDDEN
 */
export async function transferBalance({ ctx, input }: Verb<Transfer>): Promise<Adjustment> {
  requireAdmin(ctx);
  return withTransaction(ctx, (ctx) => transferInTransaction(ctx, input), { isIdempotent: true });
}

async function transferInTransaction(ctx: ServiceContext, input: Transfer): Promise<Adjustment> {
  const { fromBillingAccountId: from, toBillingAccountId: to, micros } = input;
  for (const id of [from, to]) await requireAccountAdmin(ctx, id, { orAdmin: true });
  const { row: transaction, isNew } = await claimTransaction(ctx, {
    ...input,
    billingAccountId: from,
    kind: "transfer",
    request: { micros: micros.toString(), to },
  });
  if (!isNew) return toAdjustment(ctx, transaction);
  // Always in the same order, so that two transfers in opposite directions do not wait for each other.
  for (const id of [from, to].sort()) await lockWallet(ctx, id);
  const taken = await takeCredit(ctx, from, transaction.id, micros);
  const receiver = await lockWallet(ctx, to);
  await moveWallet(ctx, receiver, { postedMicros: micros });
  await insertEntries(ctx, transaction.id, [
    { account: walletAccount(from), amountMicros: negateMicros(micros) },
    { account: walletAccount(to), amountMicros: micros },
  ]);
  const grantIds = await insertGrants(ctx, transaction.id, input, taken, toMicros(receiver.limitAmount));
  await writeAudit(ctx, {
    action: "balance.transfer",
    subject: from,
    after: { transactionId: transaction.id, to, micros, reference: input.reference },
  });
  const event = { transactionId: transaction.id, kind: "transfer" as const };
  await appendEvent(ctx, balanceDebited, { ...event, billingAccountId: from, micros: micros.toString() });
  for (const { grantId, part } of grantIds) {
    await appendEvent(ctx, balanceCredited, {
      billingAccountId: to,
      transactionId: transaction.id,
      grantId,
      source: part.grant.source,
      micros: part.amountMicros.toString(),
    });
  }
  return toAdjustment(ctx, transaction);
}

/** The receiving side: a grant for each part, less what makes a balance below zero good. */
async function insertGrants(
  ctx: ServiceContext,
  transactionId: string,
  input: Transfer,
  taken: readonly TakenCredit[],
  postedBefore: Micros,
): Promise<{ readonly grantId: string; readonly part: TakenCredit }[]> {
  const now = ctx.clock.now();
  const made = taken.map((part) => ({ grantId: newId("grant"), part }));
  await ctx.db.insert(schema.grants).values(
    made.map(({ grantId, part }) => ({
      id: grantId,
      billingAccountId: input.toBillingAccountId,
      transactionId,
      source: part.grant.source,
      priority: part.grant.priority,
      amountMicros: part.amountMicros,
      remainingMicros: part.amountMicros,
      reference: input.reference,
      createdAt: now,
      expiresAt: part.grant.expiresAt,
    })),
  );
  const debt = postedBefore < 0n ? negateMicros(postedBefore) : ZERO_MICROS;
  const spendable: SpendableGrant[] = made.map(({ grantId, part }) => ({
    id: grantId,
    priority: part.grant.priority,
    createdAt: now,
    expiresAt: part.grant.expiresAt,
    remainingMicros: part.amountMicros,
  }));
  await writeConsumptions(ctx, transactionId, consumeGrants(spendable, debt));
  return made;
}
