import { paymentsRefunded } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { addMicros, minMicros, subtractMicros, ZERO_MICROS } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { z } from "zod";
import { clawBackCredit } from "../../balance/clawBackCredit.ts";
import { creditWallet } from "../../balance/creditWallet.ts";
import { askStripe } from "../askStripe.ts";
import { microsOf, toCurrency } from "../currency.ts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { eventOf } from "./applyPayment.ts";
import { syncPayment } from "./syncPayment.ts";

const { paymentRefunds, payments } = schema;

const refundSchema = z.object({
  id: z.string(),
  amount: z.int(),
  status: z.string(),
  created: z.int(),
});
type RefundFacts = z.infer<typeof refundSchema>;
type RefundRow = typeof paymentRefunds.$inferSelect;

/** The bank has sent it back: what was given back is the account's again. */
const isUndone = (status: string): boolean => status === "failed" || status === "canceled";

/**
 * Asks Stripe what was given back of a payment, and takes each refund's credit back once; a refund that the bank sends
 * back returns it. A refund that is undone stays undone, so an older answer changes nothing.
 */
export async function syncRefunds(ctx: PaymentsContext, paymentIntentId: string): Promise<PaymentRow | undefined> {
  const payment = await syncPayment(ctx, paymentIntentId);
  if (payment === undefined || payment.status !== "succeeded") return payment;
  const { client } = requireStripe(ctx);
  const refunds: RefundFacts[] = [];
  await askStripe(async () => {
    for await (const refund of client.refunds.list({ payment_intent: paymentIntentId, limit: 100 })) {
      refunds.push(refundSchema.parse(refund));
    }
  });
  return withTransaction(ctx, (ctx) => applyRefunds(ctx, payment.id, refunds), { isIdempotent: true });
}

async function applyRefunds(
  ctx: PaymentsContext,
  paymentId: string,
  refunds: readonly RefundFacts[],
): Promise<PaymentRow> {
  const [payment] = await ctx.db.select().from(payments).where(eq(payments.id, paymentId)).for("update");
  if (payment === undefined) throw new Error(`The payment ${paymentId} is gone`);
  const known = await ctx.db.select().from(paymentRefunds).where(eq(paymentRefunds.paymentId, paymentId));
  const rows = new Map(known.map((row) => [row.id, row]));
  let clawedBack = payment.clawedBackMicros;
  for (const refund of [...refunds].sort((a, b) => a.created - b.created)) {
    const row = rows.get(refund.id);
    const next =
      row === undefined ? await takeBack(ctx, payment, refund, clawedBack) : await follow(ctx, payment, row, refund);
    clawedBack = addMicros(clawedBack, next.changeMicros);
    rows.set(refund.id, next.row);
  }
  const refundedCents = [...rows.values()].reduce((sum, row) => sum + (isUndone(row.status) ? 0 : row.amountCents), 0);
  const [changed] = await ctx.db
    .update(payments)
    .set({ refundedCents, clawedBackMicros: clawedBack, updatedAt: ctx.clock.now() })
    .where(eq(payments.id, paymentId))
    .returning();
  if (changed === undefined) throw new Error(`The payment ${paymentId} was not changed`);
  return changed;
}

interface Followed {
  readonly row: RefundRow;
  /** What it changes of all that was taken back. */
  readonly changeMicros: Micros;
}

async function takeBack(
  ctx: PaymentsContext,
  payment: PaymentRow,
  refund: RefundFacts,
  clawedBack: Micros,
): Promise<Followed> {
  // A refund and a lost dispute of the same money take it back once.
  const left = subtractMicros(payment.amountMicros, clawedBack);
  const micros = isUndone(refund.status)
    ? ZERO_MICROS
    : minMicros(microsOf(toCurrency(payment.currency), refund.amount), left);
  if (micros > 0n) {
    await clawBackCredit(ctx, {
      billingAccountId: payment.billingAccountId,
      creditTransactionId: payment.creditTransactionId ?? "",
      micros,
      idempotencyKey: `stripe:${refund.id}`,
      reference: `Refund of payment ${payment.id}`,
    });
  }
  const [row] = await ctx.db
    .insert(paymentRefunds)
    .values({
      id: refund.id,
      paymentId: payment.id,
      amountCents: refund.amount,
      status: refund.status,
      clawedBackMicros: micros,
      createdAt: new Date(refund.created * 1_000),
    })
    .returning();
  if (row === undefined) throw new Error(`The refund ${refund.id} was not written`);
  await appendEvent(ctx, paymentsRefunded, {
    ...eventOf(payment),
    refundId: refund.id,
    refundedCents: refund.amount,
  });
  return { row, changeMicros: micros };
}

async function follow(
  ctx: PaymentsContext,
  payment: PaymentRow,
  row: RefundRow,
  refund: RefundFacts,
): Promise<Followed> {
  if (row.status === refund.status || isUndone(row.status)) return { row, changeMicros: ZERO_MICROS };
  const isRestored = isUndone(refund.status) && row.clawedBackMicros > 0n;
  if (isRestored) {
    await creditWallet(ctx, {
      billingAccountId: payment.billingAccountId,
      micros: row.clawedBackMicros,
      source: "paid",
      idempotencyKey: `stripe:${refund.id}:undone`,
      reference: `Refund of payment ${payment.id} came back`,
      visible: true,
    });
  }
  const [changed] = await ctx.db
    .update(paymentRefunds)
    .set({ status: refund.status, isRestored: sql`${paymentRefunds.isRestored} or ${isRestored}` })
    .where(eq(paymentRefunds.id, row.id))
    .returning();
  if (changed === undefined) throw new Error(`The refund ${row.id} was not changed`);
  return { row: changed, changeMicros: isRestored ? subtractMicros(ZERO_MICROS, row.clawedBackMicros) : ZERO_MICROS };
}
