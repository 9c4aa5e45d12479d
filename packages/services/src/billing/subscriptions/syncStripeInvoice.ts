import { schema, withTransaction } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { newId, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { creditWallet } from "../../balance/creditWallet.ts";
import { askStripe } from "../../payments/askStripe.ts";
import { microsOf, toCurrency } from "../../payments/currency.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import type { InvoiceRow } from "../invoices/internal.ts";
import { announceInvoice, sellerOf } from "../invoices/internal.ts";
import { recordFailure } from "../invoices/recordFailure.ts";
import type { SubscriptionRow } from "./internal.ts";
import { requireTier } from "./internal.ts";
import type { OpenIntent } from "./openIntent.ts";
import { readIntent } from "./openIntent.ts";
import { planNextAttempt } from "./planDunning.ts";
import { TIER_METADATA } from "./planSubscription.ts";
import { syncSubscription } from "./syncSubscription.ts";
import type { MoneyBack } from "./takeBackCredit.ts";
import { findMoneyBack, takeBackCredit } from "./takeBackCredit.ts";
import { includedCredit } from "./tierPrice.ts";

const { billingAccounts, invoiceLines, invoices } = schema;

const lineSchema = z.object({
  description: z.string().nullable(),
  amount: z.int(),
  quantity: z.int().nullable(),
  period: z.object({ start: z.int(), end: z.int() }),
  pricing: z.object({ price_details: z.object({ price: z.string() }).nullish() }).nullable(),
});
const factsSchema = z.object({
  id: z.string(),
  status: z.enum(["draft", "open", "paid", "uncollectible", "void"]),
  number: z.string().nullable(),
  billing_reason: z.string().nullable(),
  currency: z.string(),
  created: z.int(),
  total: z.int(),
  amount_paid: z.int(),
  amount_remaining: z.int(),
  attempted: z.boolean(),
  attempt_count: z.int(),
  next_payment_attempt: z.int().nullable(),
  lines: z.object({ data: z.array(lineSchema).min(1) }),
  payments: z.object({
    data: z.array(z.object({ payment: z.object({ payment_intent: z.string().optional() }) })),
  }),
  status_transitions: z.object({ paid_at: z.int().nullable(), voided_at: z.int().nullable() }),
  parent: z.object({ subscription_details: z.object({ subscription: z.string() }).nullable() }).nullable(),
});
export type StripeInvoiceFacts = z.infer<typeof factsSchema>;

/** What is asked of Stripe before the transaction that uses it. */
interface Gathered {
  readonly facts: StripeInvoiceFacts;
  readonly subscription: SubscriptionRow;
  /** The payment of an invoice that is open. */
  readonly intent: OpenIntent | undefined;
  /** Whether the credit that comes with it outlives the period. */
  readonly rollsOver: boolean;
  /** What went back of its payment. */
  readonly moneyBack: readonly MoneyBack[];
}

/**
 * Asks Stripe what an invoice is now and makes ours the same: a copy for the customer, the included credit once it is
 * paid, and what became of an attempt to collect it. @returns whether it is of a subscription of this deployment's
 */
export async function syncStripeInvoice(ctx: PaymentsContext, stripeInvoiceId: string): Promise<boolean> {
  const { client } = requireStripe(ctx);
  const answer = await askStripe(() => client.invoices.retrieve(stripeInvoiceId, { expand: ["payments"] }));
  const subscriptionId = answer.parent?.subscription_details?.subscription;
  if (typeof subscriptionId !== "string") return false;
  const synced = await syncSubscription(ctx, subscriptionId);
  if (synced === undefined) return false;
  const facts = factsSchema.parse(answer);
  // It is not the customer's business yet, and may still change.
  if (facts.status === "draft") return true;
  const intentIds = facts.payments.data.flatMap(({ payment }) => payment.payment_intent ?? []);
  const [intentId] = facts.status === "open" ? intentIds : [];
  const moneyBack: MoneyBack[] = [];
  if (facts.status === "paid") for (const id of intentIds) moneyBack.push(...(await findMoneyBack(ctx, id)));
  const gathered = {
    facts,
    subscription: synced.row,
    intent: intentId === undefined ? undefined : await readIntent(ctx, intentId),
    rollsOver: facts.status === "paid" && (await rollsOver(ctx, facts)),
    moneyBack,
  };
  await withTransaction(ctx, (ctx) => apply(ctx, gathered), { isIdempotent: true });
  return true;
}

/** The line that pays for the time to come: the dearest one. */
function mainLine(facts: StripeInvoiceFacts): z.infer<typeof lineSchema> {
  const [first, ...others] = facts.lines.data;
  if (first === undefined) throw new Error(`The invoice ${facts.id} has no lines`);
  return others.reduce((dearest, line) => (line.amount > dearest.amount ? line : dearest), first);
}

async function rollsOver(ctx: PaymentsContext, facts: StripeInvoiceFacts): Promise<boolean> {
  const priceId = mainLine(facts).pricing?.price_details?.price;
  if (priceId === undefined) return false;
  const { client } = requireStripe(ctx);
  const price = await askStripe(() => client.prices.retrieve(priceId));
  const tierId = price.metadata[TIER_METADATA.tierId];
  return tierId !== undefined && (await requireTier(ctx, tierId)).rollsOver;
}

const STATUSES = { draft: "final", open: "final", paid: "paid", uncollectible: "final", void: "void" } as const;

async function apply(ctx: PaymentsContext, gathered: Gathered): Promise<void> {
  const { facts } = gathered;
  const { row, isNew } = await claim(ctx, gathered);
  const status = STATUSES[facts.status];
  // Paid and void are final: an older answer that comes later changes nothing. Only the money may still go back.
  if (!isNew && row.status !== "final") {
    if (row.status === "paid") await takeBackCredit(ctx, row, facts.amount_paid, gathered.moneyBack);
    return;
  }
  const now = ctx.clock.now();
  if (status === "final") {
    if (isNew) await announceInvoice(ctx, "finalized", row);
    await followOpen(ctx, row, gathered);
    return;
  }
  const change = {
    status,
    dueMicros: ZERO_MICROS,
    nextAttemptAt: null,
    updatedAt: now,
    ...(status === "paid"
      ? {
          paidAt: at(facts.status_transitions.paid_at, now),
          creditTransactionId: await grantCredit(ctx, row, gathered),
        }
      : { voidedAt: at(facts.status_transitions.voided_at, now) }),
  };
  await ctx.db.update(invoices).set(change).where(eq(invoices.id, row.id));
  if (isNew) await announceInvoice(ctx, "finalized", row);
  await announceInvoice(ctx, status === "paid" ? "paid" : "voided", { ...row, ...change });
  if (status !== "paid") return;
  await takeBackCredit(ctx, { ...row, ...change }, facts.amount_paid, gathered.moneyBack);
}

const at = (seconds: number | null, otherwise: Date): Date =>
  seconds === null ? otherwise : new Date(seconds * 1_000);

/** What became of an attempt. Of a first payment the customer is told while they wait; renewals happen without them. */
async function followOpen(ctx: PaymentsContext, row: InvoiceRow, { facts, intent }: Gathered): Promise<void> {
  if (facts.billing_reason !== "subscription_cycle") return;
  const stripeTriesAt = facts.next_payment_attempt === null ? null : new Date(facts.next_payment_attempt * 1_000);
  const isRefused = facts.attempted && intent?.status !== "processing" && facts.attempt_count > row.attempts;
  if (isRefused) {
    await recordFailure(ctx, row, {
      attempts: facts.attempt_count,
      code: intent?.failureCode ?? "card_missing",
      message: intent?.failureMessage ?? "there is no card to charge",
      stripeTriesAt,
    });
    return;
  }
  if (stripeTriesAt === null || stripeTriesAt <= ctx.clock.now()) return;
  const nextAttemptAt = planNextAttempt(row.attempts, ctx.clock.now(), stripeTriesAt);
  await ctx.db.update(invoices).set({ nextAttemptAt }).where(eq(invoices.id, row.id));
}

/** The row of an invoice, locked; made with its lines when there is none. */
async function claim(
  ctx: PaymentsContext,
  { facts, subscription }: Gathered,
): Promise<{ readonly row: InvoiceRow; readonly isNew: boolean }> {
  const [account] = await ctx.db
    .select()
    .from(billingAccounts)
    .where(eq(billingAccounts.id, subscription.billingAccountId));
  if (account === undefined) throw new Error(`The account of ${subscription.id} is gone`);
  const currency = toCurrency(facts.currency);
  const now = ctx.clock.now();
  const lines = linesOf(facts);
  const main = mainLine(facts);
  const [made] = await ctx.db
    .insert(invoices)
    .values({
      id: newId("invoice"),
      billingAccountId: account.id,
      kind: "subscription",
      status: "final",
      number: facts.number,
      periodStart: new Date(main.period.start * 1_000),
      periodEnd: new Date(main.period.end * 1_000),
      timeZone: account.timeZone,
      currency: facts.currency,
      totalMicros: sumMicros(lines.map((line) => line.amountMicros)),
      dueMicros: microsOf(currency, facts.amount_remaining),
      seller: sellerOf(ctx),
      customer: { name: account.name, address: account.address, taxId: account.taxId, email: account.invoiceEmail },
      stripeInvoiceId: facts.id,
      subscriptionId: subscription.id,
      finalizedAt: now,
      createdAt: new Date(facts.created * 1_000),
      updatedAt: now,
    })
    // Its number is unique as well, and either may be what stands in the way.
    .onConflictDoNothing()
    .returning();
  if (made !== undefined) {
    await ctx.db
      .insert(invoiceLines)
      .values(lines.map((line, index) => ({ ...line, invoiceId: made.id, line: index + 1 })));
    return { row: made, isNew: true };
  }
  const [row] = await ctx.db.select().from(invoices).where(eq(invoices.stripeInvoiceId, facts.id)).for("update");
  if (row === undefined) throw new Error(`The invoice ${facts.id} that stood in the way cannot be found`);
  return { row, isNew: false };
}

/** The invoice's lines, and one for what they do not explain: taxes, discounts, and lines beyond Stripe's first page. */
function linesOf(facts: StripeInvoiceFacts) {
  const currency = toCurrency(facts.currency);
  const line = (description: string, quantity: bigint, amountMicros: Micros) => ({
    description,
    quantity,
    unitPriceMicros: toMicros(amountMicros / quantity),
    amountMicros,
  });
  const lines = facts.lines.data.map(({ description, amount, quantity }) => {
    const micros = microsOf(currency, amount);
    const count = BigInt(quantity ?? 1);
    const isWhole = count > 0n && micros % count === 0n;
    return line(description ?? "Subscription", isWhole ? count : 1n, micros);
  });
  const rest = facts.total - facts.lines.data.reduce((sum, { amount }) => sum + amount, 0);
  return rest === 0 ? lines : [...lines, line("Taxes, discounts and other lines", 1n, microsOf(currency, rest))];
}

/**
 * The credit that comes with a paid invoice. The ledger's key is the invoice, so it is granted once; it ends with the
 * period that was paid for, unless the tier's credit rolls over. @returns the ledger's transaction
 */
async function grantCredit(
  ctx: PaymentsContext,
  row: InvoiceRow,
  { facts, rollsOver }: Gathered,
): Promise<string | null> {
  const micros = includedCredit(ctx, microsOf(toCurrency(facts.currency), facts.amount_paid));
  if (micros <= 0n) return null;
  if (!rollsOver && row.periodEnd.getTime() <= ctx.clock.nowMs()) {
    ctx.logger.warn({ invoiceId: row.id }, "the period was over when its payment was heard of: its credit has expired");
    return null;
  }
  const { id } = await creditWallet(ctx, {
    billingAccountId: row.billingAccountId,
    micros,
    source: "subscription",
    idempotencyKey: `subscription:${facts.id}`,
    reference: `Included in invoice ${row.number ?? row.id}`,
    visible: true,
    expiresAt: rollsOver ? undefined : row.periodEnd,
  });
  return id;
}
