import { paymentsFailed, paymentsSucceeded } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { eq, sql } from "drizzle-orm";
import { creditWallet } from "../../balance/creditWallet.ts";
import { followTopUp } from "../autoTopUp/followTopUp.ts";
import type { PaymentRow } from "../internal.ts";
import { queueReceipt } from "../queueReceipt.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import type { PaymentFacts } from "./paymentFacts.ts";
import { planPayment } from "./planPayment.ts";

const { payments } = schema;

/**
 * Makes a payment what Stripe says that it is, and credits it when it has succeeded: once, whoever comes first with the
 * news and however often it comes, because the row is locked and the ledger's key is the payment intent.
 * @param revision of the row when Stripe was asked
 * @returns undefined if another answer was applied meanwhile: then this one may be older, and Stripe is to be asked again
 */
export async function applyPayment(
  ctx: PaymentsContext,
  paymentId: string,
  revision: number,
  facts: PaymentFacts,
): Promise<PaymentRow | undefined> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db.select().from(payments).where(eq(payments.id, paymentId)).for("update");
      if (row === undefined) throw new Error(`The payment ${paymentId} is gone`);
      // Success is final, so nobody has to ask again about it.
      if (row.status === "succeeded") return row;
      if (row.revision !== revision) return undefined;
      const plan = planPayment(row, facts);
      const creditTransactionId = plan.isCredited ? await credit(ctx, row, facts) : row.creditTransactionId;
      const error = plan.status === "failed" ? facts.last_payment_error : null;
      const now = ctx.clock.now();
      const [changed] = await ctx.db
        .update(payments)
        .set({
          status: plan.status,
          stripePaymentIntentId: facts.id,
          cardId: facts.payment_method ?? row.cardId,
          failureCode: error === null ? null : (error.decline_code ?? error.code ?? "declined"),
          failureMessage: error === null ? null : (error.message ?? null),
          receiptUrl: facts.latest_charge?.receipt_url ?? row.receiptUrl,
          creditTransactionId,
          revision: sql`${payments.revision} + 1`,
          updatedAt: now,
          ...(plan.isCredited ? { succeededAt: now } : {}),
        })
        .where(eq(payments.id, paymentId))
        .returning();
      if (changed === undefined) throw new Error(`The payment ${paymentId} was not changed`);
      await announce(ctx, changed, plan);
      return changed;
    },
    { isIdempotent: true },
  );
}

async function credit(ctx: PaymentsContext, row: PaymentRow, facts: PaymentFacts): Promise<string> {
  const { id } = await creditWallet(ctx, {
    billingAccountId: row.billingAccountId,
    micros: row.amountMicros,
    source: "paid",
    idempotencyKey: `stripe:${facts.id}`,
    reference: `Payment ${row.id}`,
    visible: true,
  });
  return id;
}

async function announce(
  ctx: PaymentsContext,
  row: PaymentRow,
  plan: { readonly isCredited: boolean; readonly isFailed: boolean },
): Promise<void> {
  if (plan.isCredited) {
    await appendEvent(ctx, paymentsSucceeded, eventOf(row));
    await queueReceipt(ctx, row);
  }
  if (plan.isFailed) await announceFailure(ctx, row);
  if (plan.isCredited && row.kind === "auto_top_up") await followTopUp(ctx, row);
}

/** Says that a payment did not go through, in the transaction in which it did not. */
export async function announceFailure(ctx: PaymentsContext, row: PaymentRow): Promise<void> {
  await appendEvent(ctx, paymentsFailed, { ...eventOf(row), failureCode: row.failureCode ?? "declined" });
  if (row.kind === "auto_top_up") await followTopUp(ctx, row);
}

/** What every event about a payment says of it. */
export const eventOf = (row: PaymentRow) => ({
  paymentId: row.id,
  billingAccountId: row.billingAccountId,
  kind: row.kind,
  amountCents: row.amountCents,
  currency: row.currency,
});
