import type { Adjustment, decrementInput } from "@tollgate/contracts";
import { balanceDebited } from "@tollgate/contracts";
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import { negateMicros } from "@tollgate/kernel";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin, requireAdmin } from "../permissions.ts";
import { claimTransaction, fundingAccount, insertEntries, toAdjustment, walletAccount } from "./internal.ts";
import { takeCredit } from "./takeCredit.ts";

/**
 * An operator takes credit back. Never more than is free: the claims of calls made and calls in flight come first.
 * @throws TollgateError NOT_FOUND; PAYMENT_REQUIRED `insufficient_credit`; CONFLICT `idempotency_key_reused`; UNAUTHORIZED, FORBIDDEN
 */
export async function decrementBalance({ ctx, input }: Verb<z.output<typeof decrementInput>>): Promise<Adjustment> {
  requireAdmin(ctx);
  return withTransaction(ctx, (ctx) => decrementInTransaction(ctx, input), { isIdempotent: true });
}

async function decrementInTransaction(
  ctx: ServiceContext,
  input: z.output<typeof decrementInput>,
): Promise<Adjustment> {
  const { billingAccountId, micros } = input;
  await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
  const { row: transaction, isNew } = await claimTransaction(ctx, {
    ...input,
    kind: "debit",
    request: { micros: micros.toString() },
  });
  if (!isNew) return toAdjustment(ctx, transaction);
  await takeCredit(ctx, billingAccountId, transaction.id, micros);
  await insertEntries(ctx, transaction.id, [
    { account: walletAccount(billingAccountId), amountMicros: negateMicros(micros) },
    { account: fundingAccount("adjustment"), amountMicros: micros },
  ]);
  await writeAudit(ctx, {
    action: "balance.decrement",
    subject: billingAccountId,
    after: { transactionId: transaction.id, micros, reference: input.reference },
  });
  await appendEvent(ctx, balanceDebited, {
    billingAccountId,
    transactionId: transaction.id,
    kind: "debit",
    micros: micros.toString(),
  });
  return toAdjustment(ctx, transaction);
}
