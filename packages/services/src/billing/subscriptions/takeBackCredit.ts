import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { addMicros, minMicros, negateMicros, subtractMicros, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, eq, sql } from "drizzle-orm";
import { z } from "zod";
import { clawBackCredit } from "../../balance/clawBackCredit.ts";
import { creditWallet } from "../../balance/creditWallet.ts";
import { bringUpToDate } from "../../balance/expireDueGrants.ts";
import { lockWallet } from "../../balance/internal.ts";
import { askStripe } from "../../payments/askStripe.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import type { InvoiceRow } from "../invoices/internal.ts";

const { grantConsumptions, grants, invoiceReturns, ledgerTransactions } = schema;

type ReturnRow = typeof invoiceReturns.$inferSelect;

const returnSchema = z.object({ id: z.string(), amount: z.int(), status: z.string(), created: z.int() });

/** Money of an invoice that went back, or may: a refund, or a dispute. */
export interface MoneyBack {
  readonly id: string;
  readonly amount: number;
  readonly status: string;
  readonly created: number;
  /** Whether the money is gone: not of a refund that the bank sent back, nor of a dispute that is not lost. */
  readonly isGone: boolean;
  /** Nothing follows that. */
  readonly isFinal: boolean;
}

const isUndone = (status: string): boolean => status === "failed" || status === "canceled";
const isClosed = (status: string): boolean => ["won", "lost", "warning_closed", "prevented"].includes(status);

/** What Stripe says went back of a payment: each refund, and each dispute. */
export async function findMoneyBack(ctx: PaymentsContext, intentId: string): Promise<MoneyBack[]> {
  const { client } = requireStripe(ctx);
  const found: MoneyBack[] = [];
  await askStripe(async () => {
    for await (const one of client.refunds.list({ payment_intent: intentId, limit: 100 })) {
      const refund = returnSchema.parse(one);
      const isFinal = isUndone(refund.status);
      found.push({ ...refund, isGone: !isFinal, isFinal });
    }
    for await (const one of client.disputes.list({ payment_intent: intentId, limit: 100 })) {
      const dispute = returnSchema.parse(one);
      found.push({ ...dispute, isGone: dispute.status === "lost", isFinal: isClosed(dispute.status) });
    }
  });
  return found.sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

/**
 * How much of an invoice's included credit is to be taken back when so much of its payment has gone: the same part, and
 * all of it when all has gone. A refund and a lost dispute of the same money count once.
 */
export function planTakenBack(facts: {
  readonly creditMicros: Micros;
  readonly paidCents: number;
  readonly goneCents: number;
}): Micros {
  const { creditMicros, paidCents, goneCents } = facts;
  if (paidCents <= 0) return ZERO_MICROS;
  return toMicros((creditMicros * BigInt(Math.min(goneCents, paidCents))) / BigInt(paidCents));
}

/**
 * Takes the included credit of a paid invoice back as its money goes back, and returns it when the bank sends a refund
 * back. The invoice's row is locked by the caller's transaction, each refund and each dispute is noted once, and one that
 * is settled stays so: an older answer changes nothing. What has expired of the credit is gone already.
 */
export async function takeBackCredit(
  ctx: PaymentsContext,
  row: InvoiceRow,
  paidCents: number,
  moneyBack: readonly MoneyBack[],
): Promise<void> {
  if (moneyBack.length === 0 || row.creditTransactionId === null) return;
  const known = await ctx.db.select().from(invoiceReturns).where(eq(invoiceReturns.invoiceId, row.id));
  const noted = new Map(known.map((one) => [one.id, one]));
  const news = moneyBack.filter((one) => isNews(noted.get(one.id), one));
  if (news.length === 0) return;
  // What has expired is taken off before it is counted.
  await bringUpToDate(ctx, await lockWallet(ctx, row.billingAccountId));
  const [grant] = await ctx.db.select().from(grants).where(eq(grants.transactionId, row.creditTransactionId));
  if (grant === undefined) throw new Error(`The credit of ${row.id} has no grant`);
  const leftMicros = subtractMicros(grant.amountMicros, await expiredOf(ctx, grant.id));
  const gone = new Map(known.map((one) => [one.id, one.isGone ? one.amountCents : 0]));
  let taken = sumMicros(known.map((one) => one.takenMicros));
  for (const one of news) {
    gone.set(one.id, one.isGone ? one.amount : 0);
    const goneCents = [...gone.values()].reduce((sum, cents) => sum + cents, 0);
    const wanted = planTakenBack({ creditMicros: grant.amountMicros, paidCents, goneCents });
    const change = subtractMicros(minMicros(wanted, leftMicros), taken);
    await move(ctx, row, one, change, grant.expiresAt);
    await note(ctx, row, one, change);
    taken = addMicros(taken, change);
  }
}

/** What is settled, here, stays so. */
const isNews = (noted: ReturnRow | undefined, one: MoneyBack): boolean =>
  noted === undefined || (!noted.isFinal && noted.status !== one.status);

async function expiredOf(ctx: PaymentsContext, grantId: string): Promise<Micros> {
  const rows = await ctx.db
    .select({ amountMicros: grantConsumptions.amountMicros })
    .from(grantConsumptions)
    .innerJoin(ledgerTransactions, eq(ledgerTransactions.id, grantConsumptions.transactionId))
    .where(and(eq(grantConsumptions.grantId, grantId), eq(ledgerTransactions.kind, "expiry")));
  return sumMicros(rows.map((one) => one.amountMicros));
}

async function move(
  ctx: PaymentsContext,
  row: InvoiceRow,
  one: MoneyBack,
  change: Micros,
  expiresAt: Date | null,
): Promise<void> {
  const { billingAccountId, creditTransactionId } = row;
  const invoice = `invoice ${row.number ?? row.id}`;
  if (change > 0n) {
    await clawBackCredit(ctx, {
      billingAccountId,
      creditTransactionId: creditTransactionId ?? "",
      micros: change,
      source: "subscription",
      idempotencyKey: `stripe:${one.id}`,
      reference: `Refund of ${invoice}`,
    });
  }
  if (change >= 0n) return;
  await creditWallet(ctx, {
    billingAccountId,
    micros: negateMicros(change),
    source: "subscription",
    idempotencyKey: `stripe:${one.id}:undone`,
    reference: `Refund of ${invoice} came back`,
    visible: true,
    // It may have made a debt that outlives the credit's time.
    expiresAt: expiresAt !== null && expiresAt > ctx.clock.now() ? expiresAt : undefined,
  });
}

async function note(ctx: PaymentsContext, row: InvoiceRow, one: MoneyBack, change: Micros): Promise<void> {
  const now = ctx.clock.now();
  const state = { status: one.status, isGone: one.isGone, isFinal: one.isFinal, updatedAt: now };
  await ctx.db
    .insert(invoiceReturns)
    .values({
      ...state,
      id: one.id,
      invoiceId: row.id,
      amountCents: one.amount,
      takenMicros: change,
      createdAt: new Date(one.created * 1_000),
    })
    .onConflictDoUpdate({
      target: invoiceReturns.id,
      set: { ...state, takenMicros: sql`${invoiceReturns.takenMicros} + ${change}` },
    });
}
