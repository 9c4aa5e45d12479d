import type { collectInvoiceJob } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { eq } from "drizzle-orm";
import Stripe from "stripe";
import type { z } from "zod";
import { askStripe } from "../../payments/askStripe.ts";
import type { PaymentsContext, PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { requireAdminOrService } from "../../permissions.ts";
import { takeInvoiceBack } from "../subscriptions/endSubscription.ts";
import { lapseAccount } from "../subscriptions/lapseAccount.ts";
import { isExhausted } from "../subscriptions/planDunning.ts";
import { syncStripeInvoice } from "../subscriptions/syncStripeInvoice.ts";
import { collectUsage } from "./collectUsage.ts";
import { findDefaultCard } from "./findDefaultCard.ts";
import type { InvoiceRow } from "./internal.ts";
import { lockInvoice } from "./internal.ts";
import type { CollectionFailure } from "./recordFailure.ts";
import { recordFailure } from "./recordFailure.ts";

const { invoices } = schema;

export type CollectionOutcome = "not_due" | "collected" | "refused" | "lapsed";

/**
 * Tries once to collect what is due of an invoice, if it is time; after the last refusal the tier lapses. The card is
 * asked under a key that names the invoice and how often it was refused: cut anywhere and run again, or run in two places
 * at once, the card is charged once and a refusal counts once.
 */
export async function collectInvoice({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof collectInvoiceJob.schema>>): Promise<CollectionOutcome> {
  requireAdminOrService(ctx);
  const [found] = await ctx.db.select().from(invoices).where(eq(invoices.id, input.invoiceId));
  if (found?.kind === "usage" && found.status === "final") return collectOfUsage(ctx, found);
  const row = await readDue(ctx, input.invoiceId);
  if (row === undefined || row.stripeInvoiceId === null) return "not_due";
  // Stripe may have tried, or somebody may have paid at its page.
  await syncStripeInvoice(ctx, row.stripeInvoiceId);
  const due = await readDue(ctx, row.id);
  if (due === undefined) return "not_due";
  if (isExhausted(due.attempts)) {
    await lapseAccount(ctx, { billingAccountId: due.billingAccountId, id: due.subscriptionId });
    await takeInvoiceBack(ctx, { id: row.stripeInvoiceId, status: "open" });
    await giveUp(ctx, due);
    return "lapsed";
  }
  return collectAtStripe(ctx, due, row.stripeInvoiceId);
}

async function collectOfUsage(ctx: PaymentsContext, row: InvoiceRow): Promise<CollectionOutcome> {
  const outcome = await collectUsage(ctx, row);
  if (outcome !== "exhausted") return outcome;
  await lapseAccount(ctx, { billingAccountId: row.billingAccountId, id: null });
  await giveUp(ctx, row);
  return "lapsed";
}

/** The invoice, if it is time to collect it. */
async function readDue(ctx: PaymentsContext, invoiceId: string): Promise<InvoiceRow | undefined> {
  const [row] = await ctx.db.select().from(invoices).where(eq(invoices.id, invoiceId));
  const isDue = row?.status === "final" && row.nextAttemptAt !== null && row.nextAttemptAt <= ctx.clock.now();
  return isDue ? row : undefined;
}

/** Nothing is tried any more; the invoice stays what it is. */
async function giveUp(ctx: PaymentsContext, { id }: InvoiceRow): Promise<void> {
  await withTransaction(ctx, (ctx) => ctx.db.update(invoices).set({ nextAttemptAt: null }).where(eq(invoices.id, id)), {
    isIdempotent: true,
  });
}

async function collectAtStripe(
  ctx: PaymentsContext,
  row: InvoiceRow,
  stripeInvoiceId: string,
): Promise<CollectionOutcome> {
  const { client } = requireStripe(ctx);
  const card = await findDefaultCard(ctx, row.billingAccountId);
  try {
    await client.invoices.pay(
      stripeInvoiceId,
      { off_session: true, ...(card === undefined ? {} : { payment_method: card }) },
      { idempotencyKey: `dunning:${row.id}:${row.attempts}:${card ?? "none"}` },
    );
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) return askStripe(() => Promise.reject(error));
    await noteFailure(ctx, row, { ...refusal, attempts: row.attempts + 1, stripeTriesAt: null });
    await syncStripeInvoice(ctx, stripeInvoiceId);
    return "refused";
  }
  await syncStripeInvoice(ctx, stripeInvoiceId);
  return "collected";
}

/** Why nothing was collected; undefined for what is not the card's doing. */
function refusalOf(error: unknown): Pick<CollectionFailure, "code" | "message"> | undefined {
  if (error instanceof Stripe.errors.StripeCardError) {
    return { code: error.decline_code || error.code || "card_declined", message: error.message };
  }
  if (error instanceof Stripe.errors.StripeInvalidRequestError && error.code === "resource_missing") {
    return { code: "card_missing", message: "there is no card to charge" };
  }
  return undefined;
}

/** Notes a refusal in a transaction of its own. */
export async function noteFailure(ctx: PaymentsContext, { id }: InvoiceRow, failure: CollectionFailure): Promise<void> {
  await withTransaction(ctx, async (ctx) => recordFailure(ctx, await lockInvoice(ctx, id), failure), {
    isIdempotent: true,
  });
}
