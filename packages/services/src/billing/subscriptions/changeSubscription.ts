import { schema, withTransaction } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import Stripe from "stripe";
import { askStripe, cardRefused } from "../../payments/askStripe.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import type { SubscriptionRow, TierRow } from "./internal.ts";
import type { OpenIntent } from "./openIntent.ts";
import { findOpenIntent } from "./openIntent.ts";
import type { SubscriptionFacts } from "./planSubscription.ts";
import { itemOf, paidPriceOf, TIER_METADATA } from "./planSubscription.ts";
import type { StartedSubscription } from "./startSubscription.ts";
import { syncStripeInvoice } from "./syncStripeInvoice.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";
import { ensureTierPrice } from "./tierPrice.ts";

const { subscriptions } = schema;
const NOT_PAID_AHEAD = {
  [TIER_METADATA.paidTierId]: "",
  [TIER_METADATA.paidPrice]: "",
  [TIER_METADATA.paidUntil]: "",
} as const;

/**
 * Asks Stripe for a change under a key that names the state it starts from: the same request again is the same change,
 * and after the change, or a refusal, it is another request.
 */
export async function updateAtStripe(
  ctx: PaymentsContext,
  { row, facts }: SyncedSubscription,
  what: string,
  change: Stripe.SubscriptionUpdateParams,
): Promise<void> {
  const { client } = requireStripe(ctx);
  const idempotencyKey = `${row.id}:${row.revision}:${what}`;
  await askStripe(() => client.subscriptions.update(facts.id, change, { idempotencyKey }));
}

/** Makes the tier cheaper from the next period on: the price changes now, and nothing is charged or given back for it. */
export async function downgrade(
  ctx: PaymentsContext,
  synced: SyncedSubscription,
  tier: TierRow,
): Promise<SyncedSubscription> {
  const item = itemOf(synced.facts);
  await updateAtStripe(ctx, synced, `downgrade:${tier.id}`, {
    items: [{ id: item.id, price: await ensureTierPrice(ctx, tier) }],
    proration_behavior: "none",
    cancel_at_period_end: false,
    metadata: {
      [TIER_METADATA.paidTierId]: synced.row.tierId,
      [TIER_METADATA.paidPrice]: paidPriceOf(synced.facts),
      [TIER_METADATA.paidUntil]: String(item.current_period_end),
    },
  });
  return requireSynced(ctx, synced.facts.id);
}

/** Keeps the tier that is in force: takes a coming end and a coming cheaper tier back. */
export async function keepTier(ctx: PaymentsContext, synced: SyncedSubscription): Promise<SyncedSubscription> {
  const { row, facts } = synced;
  if (!row.isCancelling && row.pendingTierId === null) return synced;
  await updateAtStripe(ctx, synced, "keep", {
    cancel_at_period_end: false,
    ...(row.pendingTierId === null
      ? {}
      : {
          items: [{ id: itemOf(facts).id, price: paidPriceOf(facts) }],
          proration_behavior: "none" as const,
          metadata: NOT_PAID_AHEAD,
        }),
  });
  return requireSynced(ctx, facts.id);
}

/**
 * Makes the tier better now, for the difference of the rest of the period. A refused card changes nothing; when the bank
 * wants to ask the cardholder, the change waits for the answer.
 * @throws TollgateError PAYMENT_REQUIRED with the bank's reason
 */
export async function upgrade(
  ctx: PaymentsContext,
  before: SyncedSubscription,
  { to, cardId }: { readonly to: TierRow; readonly cardId: string | undefined },
): Promise<StartedSubscription> {
  // What is taken off is the tier that is paid for, so its price has to be there again.
  const synced = before.row.pendingTierId === null ? before : await keepTier(ctx, before);
  const change = {
    items: [{ id: itemOf(synced.facts).id, price: await ensureTierPrice(ctx, to) }],
    proration_behavior: "always_invoice" as const,
  };
  const what = `upgrade:${to.id}:${cardId ?? "default"}`;
  try {
    // All of it or nothing: also the card and the end that was planned stay when the payment is refused.
    await updateOrRefuse(ctx, synced, what, {
      ...change,
      payment_behavior: "error_if_incomplete",
      cancel_at_period_end: false,
      ...(cardId === undefined ? {} : { default_payment_method: cardId }),
    });
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeCardError)) return askStripe(() => Promise.reject(error));
    if (!asksCardholder(error)) {
      await forgetAttempt(ctx, synced.row);
      await restore(ctx, before);
      throw cardRefused(error.decline_code || error.code || "card_declined", error.message, error);
    }
    await waitForCardholder(ctx, synced, change, what, cardId);
  }
  const after = await requireSynced(ctx, synced.facts.id);
  if (after.facts.latest_invoice !== null) await syncStripeInvoice(ctx, after.facts.latest_invoice.id);
  const asks = after.facts.pending_update === null ? undefined : await findOpenIntent(ctx, after.facts);
  return { ...after, asks };
}

/** A change that waits cannot change anything else as well, so that comes first. */
async function waitForCardholder(
  ctx: PaymentsContext,
  before: SyncedSubscription,
  change: Stripe.SubscriptionUpdateParams,
  what: string,
  cardId: string | undefined,
): Promise<void> {
  if (cardId !== undefined) await useCard(ctx, before, cardId);
  const synced = await keepTier(ctx, before);
  await updateAtStripe(ctx, synced, `${what}:ask`, { ...change, payment_behavior: "pending_if_incomplete" });
}

/** The same as {@link updateAtStripe}, with the library's own errors. */
async function updateOrRefuse(
  ctx: PaymentsContext,
  { row, facts }: SyncedSubscription,
  what: string,
  change: Stripe.SubscriptionUpdateParams,
): Promise<void> {
  const { client } = requireStripe(ctx);
  await client.subscriptions.update(facts.id, change, { idempotencyKey: `${row.id}:${row.revision}:${what}` });
}

const asksCardholder = (error: Stripe.errors.StripeError): boolean =>
  error.code === "subscription_payment_intent_requires_action" ||
  error.code === "authentication_required" ||
  (error instanceof Stripe.errors.StripeCardError && error.decline_code === "authentication_required");

/** A refusal is kept under its key, so the next attempt needs another. */
async function forgetAttempt(ctx: PaymentsContext, row: SubscriptionRow): Promise<void> {
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .update(subscriptions)
        .set({ revision: sql`${subscriptions.revision} + 1` })
        .where(eq(subscriptions.id, row.id)),
    { isIdempotent: true },
  );
}

/** A coming cheaper tier, which made way for a change that was refused, comes back. */
async function restore(ctx: PaymentsContext, before: SyncedSubscription): Promise<void> {
  const { row, facts } = before;
  if (row.pendingTierId === null) return;
  const synced = await requireSynced(ctx, facts.id);
  const item = itemOf(facts);
  await updateAtStripe(ctx, synced, "restore", {
    cancel_at_period_end: row.isCancelling,
    items: [{ id: item.id, price: item.price.id }],
    proration_behavior: "none",
    metadata: {
      [TIER_METADATA.paidTierId]: facts.metadata[TIER_METADATA.paidTierId] ?? "",
      [TIER_METADATA.paidPrice]: facts.metadata[TIER_METADATA.paidPrice] ?? "",
      [TIER_METADATA.paidUntil]: facts.metadata[TIER_METADATA.paidUntil] ?? "",
    },
  });
  await requireSynced(ctx, facts.id);
}

/** Makes a card the one that this subscription is charged to. */
async function useCard(ctx: PaymentsContext, synced: SyncedSubscription, cardId: string): Promise<void> {
  await updateAtStripe(ctx, synced, `card:${cardId}`, { default_payment_method: cardId });
}

/**
 * Pays what a renewal left open. @returns the payment that waits for the cardholder's answer; undefined when it is paid
 * @throws TollgateError PAYMENT_REQUIRED with the bank's reason
 */
export async function payOpenInvoice(
  ctx: PaymentsContext,
  synced: SyncedSubscription,
  cardId: string | undefined,
): Promise<OpenIntent | undefined> {
  const { client } = requireStripe(ctx);
  const invoice = synced.facts.latest_invoice;
  if (invoice?.status !== "open") return undefined;
  if (cardId !== undefined) await useCard(ctx, synced, cardId);
  try {
    await client.invoices.pay(
      invoice.id,
      { off_session: false, ...(cardId === undefined ? {} : { payment_method: cardId }) },
      { idempotencyKey: `pay:${invoice.id}:${synced.row.revision}:${cardId ?? "default"}` },
    );
  } catch (error) {
    await syncStripeInvoice(ctx, invoice.id);
    if (!(error instanceof Stripe.errors.StripeCardError)) return askStripe(() => Promise.reject(error));
    await forgetAttempt(ctx, synced.row);
    const intent = await findOpenIntent(ctx, synced.facts);
    if (intent?.status === "requires_action") return intent;
    throw cardRefused(error.decline_code || error.code || "card_declined", error.message, error);
  }
  await syncStripeInvoice(ctx, invoice.id);
  return undefined;
}

/** @throws TollgateError CONFLICT when the bank's question about an earlier change is not answered yet */
export function assertNoChangeWaits(facts: SubscriptionFacts): void {
  if (facts.pending_update === null) return;
  throw changeUnderWay("An earlier change waits for the bank's question to be answered");
}

export const changeUnderWay = (message: string): TollgateError =>
  new TollgateError("CONFLICT", message, { reason: "change_under_way" });
