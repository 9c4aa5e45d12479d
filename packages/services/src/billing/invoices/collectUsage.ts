import { schema, withTransaction } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { minMicros, newId, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, asc, eq } from "drizzle-orm";
import { lockWallet } from "../../balance/internal.ts";
import { chargePayment } from "../../payments/chargePayment.ts";
import type { Currency } from "../../payments/currency.ts";
import type { PaymentRow } from "../../payments/internal.ts";
import { claimInTransaction } from "../../payments/internal.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { syncPayment } from "../../payments/sync/syncPayment.ts";
import { isExhausted } from "../subscriptions/planDunning.ts";
import type { CollectionOutcome } from "./collectInvoice.ts";
import { findDefaultCard } from "./findDefaultCard.ts";
import type { InvoiceRow } from "./internal.ts";
import { announceInvoice, lockInvoice } from "./internal.ts";
import { recordFailure } from "./recordFailure.ts";

const { invoices, payments } = schema;
/** Nobody asks for a payment under its key so late: then the sweep of payments gives it up. */
const KEY_MS = 50 * 60_000;

/**
 * Collects what usage has left due: a payment like any other, which makes the wallet's debt good and the invoice paid. An
 * invoice has one payment under way, by constraint, and what became of each is read from the payments, so whatever dies
 * in between, the next run goes on with what there is. A wallet that was made good otherwise owes nothing any more.
 */
export async function collectUsage(
  ctx: PaymentsContext,
  invoice: InvoiceRow,
): Promise<CollectionOutcome | "exhausted"> {
  const { id, billingAccountId } = invoice;
  await askForOpen(ctx, id);
  const cardId = await findDefaultCard(ctx, billingAccountId);
  const claimed = await withTransaction(ctx, (ctx) => claim(ctx, id, cardId), { isIdempotent: true });
  if (typeof claimed === "string") return claimed;
  const { row } = await chargePayment(ctx, claimed, { isOffSession: true });
  await withTransaction(ctx, (ctx) => followPayments(ctx, id), { isIdempotent: true });
  if (row.status === "succeeded") return "collected";
  return row.status === "failed" ? "refused" : "not_due";
}

/** Asks what became of the payment that is under way. */
async function askForOpen(ctx: PaymentsContext, invoiceId: string): Promise<void> {
  const open = (await paymentsOf(ctx, invoiceId)).find(isOpen);
  if (open === undefined) return;
  const isYoung = ctx.clock.nowMs() - open.createdAt.getTime() < KEY_MS;
  if (open.stripePaymentIntentId !== null) await syncPayment(ctx, open.stripePaymentIntentId);
  else if (isYoung) await chargePayment(ctx, open, { isOffSession: true });
}

const paymentsOf = (ctx: PaymentsContext, invoiceId: string): PromiseLike<PaymentRow[]> =>
  ctx.db.select().from(payments).where(eq(payments.invoiceId, invoiceId)).orderBy(asc(payments.createdAt));

const isOpen = (payment: PaymentRow): boolean => payment.status === "pending" || payment.status === "requires_action";

/** Lets the invoice follow what became of its payments. @returns it as it is now, locked */
async function followPayments(ctx: PaymentsContext, invoiceId: string): Promise<InvoiceRow> {
  const invoice = await lockInvoice(ctx, invoiceId);
  if (invoice.status !== "final") return invoice;
  const made = await paymentsOf(ctx, invoiceId);
  if (made.some((payment) => payment.status === "succeeded")) return markPaid(ctx, invoice);
  const refused = made.filter((payment) => payment.status === "failed" || payment.status === "canceled");
  const last = refused.at(-1);
  if (last === undefined) return invoice;
  return recordFailure(ctx, invoice, {
    attempts: refused.length,
    code: last.failureCode ?? "card_declined",
    message:
      last.failureCode === "card_missing"
        ? "there is no card to charge"
        : (last.failureMessage ?? "The card was declined"),
    stripeTriesAt: null,
  });
}

/**
 * The payment to charge now, written down; or why there is none. What became of the ones before is noted first: another
 * worker may have been refused since, and whether it is time for the next try is read from what that leaves.
 */
async function claim(
  ctx: PaymentsContext,
  invoiceId: string,
  cardId: string | undefined,
): Promise<PaymentRow | "not_due" | "collected" | "exhausted"> {
  const invoice = await followPayments(ctx, invoiceId);
  if (invoice.status !== "final") return invoice.status === "paid" ? "collected" : "not_due";
  if ((await paymentsOf(ctx, invoiceId)).some(isOpen)) return "not_due";
  const { limitAmount } = await lockWallet(ctx, invoice.billingAccountId);
  const debt = limitAmount < 0n ? toMicros(-limitAmount) : ZERO_MICROS;
  const owed = minMicros(invoice.dueMicros, debt);
  if (owed === 0n) {
    await markPaid(ctx, invoice);
    return "collected";
  }
  if (invoice.nextAttemptAt === null || invoice.nextAttemptAt > ctx.clock.now()) return "not_due";
  if (isExhausted(invoice.attempts)) return "exhausted";
  const { currency } = requireStripe(ctx);
  const { row } = await claimInTransaction(ctx, {
    billingAccountId: invoice.billingAccountId,
    kind: "card",
    invoiceId,
    amountCents: chargeableCents(currency, owed),
    currency,
    cardId: cardId ?? null,
    idempotencyKey: newId("payment"),
    action: "billing.collect",
  });
  return row;
}

/**
 * What a card can be charged for a debt: whole units of the currency, and no less than Stripe takes
 * (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts). What it is more than the debt is credit.
 */
export function chargeableCents(currency: Currency, owed: Micros): number {
  const isThousandths = currency.microsPerCent === 1_000n;
  const step = isThousandths ? 10_000n : currency.microsPerCent;
  const steps = (owed + step - 1n) / step;
  const least = 50n;
  return Number((steps > least ? steps : least) * (step / currency.microsPerCent));
}

async function markPaid(ctx: PaymentsContext, invoice: InvoiceRow): Promise<InvoiceRow> {
  const now = ctx.clock.now();
  const change = { status: "paid", dueMicros: ZERO_MICROS, nextAttemptAt: null, paidAt: now, updatedAt: now } as const;
  await ctx.db
    .update(invoices)
    .set(change)
    .where(and(eq(invoices.id, invoice.id), eq(invoices.status, "final")));
  const paid = { ...invoice, ...change };
  await announceInvoice(ctx, "paid", paid);
  return paid;
}
