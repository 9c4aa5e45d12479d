import { paymentsDisputed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { addMicros, minMicros, subtractMicros, ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { clawBackCredit } from "../../balance/clawBackCredit.ts";
import { askStripe } from "../askStripe.ts";
import { microsOf, toCurrency } from "../currency.ts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { eventOf } from "./applyPayment.ts";
import { syncRefunds } from "./syncRefunds.ts";

const { paymentDisputes, payments } = schema;

const disputeSchema = z.object({
  id: z.string(),
  amount: z.int(),
  status: z.string(),
  reason: z.string(),
  created: z.int(),
  payment_intent: z.string().nullable(),
});
type DisputeFacts = z.infer<typeof disputeSchema>;

/** The bank has decided; nothing follows that. */
const isClosed = (status: string): boolean => ["won", "lost", "warning_closed", "prevented"].includes(status);

/**
 * Asks Stripe what a dispute is now. That it began and how it ended are announced, each once; one that was lost takes the
 * credit back, once, and not what refunds have taken already.
 */
export async function syncDispute(ctx: PaymentsContext, disputeId: string): Promise<PaymentRow | undefined> {
  const { client } = requireStripe(ctx);
  const facts = disputeSchema.parse(await askStripe(() => client.disputes.retrieve(disputeId)));
  if (facts.payment_intent === null) return undefined;
  const payment = await syncRefunds(ctx, facts.payment_intent);
  if (payment === undefined || payment.status !== "succeeded") return undefined;
  return withTransaction(ctx, (ctx) => applyDispute(ctx, payment.id, facts), { isIdempotent: true });
}

async function applyDispute(ctx: PaymentsContext, paymentId: string, facts: DisputeFacts): Promise<PaymentRow> {
  const [payment] = await ctx.db.select().from(payments).where(eq(payments.id, paymentId)).for("update");
  if (payment === undefined) throw new Error(`The payment ${paymentId} is gone`);
  const [known] = await ctx.db.select().from(paymentDisputes).where(eq(paymentDisputes.id, facts.id));
  // An answer from before the bank decided comes too late.
  if (known !== undefined && (isClosed(known.status) || known.status === facts.status)) return payment;
  const isLost = facts.status === "lost";
  const left = subtractMicros(payment.amountMicros, payment.clawedBackMicros);
  const micros = isLost ? minMicros(microsOf(toCurrency(payment.currency), facts.amount), left) : ZERO_MICROS;
  if (micros > 0n) {
    await clawBackCredit(ctx, {
      billingAccountId: payment.billingAccountId,
      creditTransactionId: payment.creditTransactionId ?? "",
      micros,
      idempotencyKey: `stripe:${facts.id}`,
      reference: `Lost dispute of payment ${payment.id}`,
    });
  }
  const now = ctx.clock.now();
  await ctx.db
    .insert(paymentDisputes)
    .values({
      id: facts.id,
      paymentId,
      amountCents: facts.amount,
      status: facts.status,
      reason: facts.reason,
      clawedBackMicros: micros,
      createdAt: new Date(facts.created * 1_000),
      updatedAt: now,
    })
    .onConflictDoUpdate({
      target: paymentDisputes.id,
      set: { status: facts.status, clawedBackMicros: micros, updatedAt: now },
    });
  const [changed] = await ctx.db
    .update(payments)
    .set({
      disputeStatus: facts.status,
      clawedBackMicros: addMicros(payment.clawedBackMicros, micros),
      updatedAt: now,
    })
    .where(eq(payments.id, paymentId))
    .returning();
  if (changed === undefined) throw new Error(`The payment ${paymentId} was not changed`);
  if (known === undefined || isClosed(facts.status)) {
    await appendEvent(ctx, paymentsDisputed, {
      ...eventOf(payment),
      disputeId: facts.id,
      disputedCents: facts.amount,
      status: facts.status,
      reason: facts.reason,
    });
  }
  return changed;
}
