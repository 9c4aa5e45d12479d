import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { newId, TollgateError, unavailable } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import Stripe from "stripe";
import { askStripe, cardRefused } from "../../payments/askStripe.ts";
import { requireOwnCard } from "../../payments/requireOwnCard.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { ensureStripeCustomer, findStripeCustomer, METADATA } from "../../payments/stripeCustomer.ts";
import { fetchCards } from "../../payments/sync/syncCards.ts";
import { endUnlessPaid } from "./endSubscription.ts";
import type { SubscriptionRow, TierRow } from "./internal.ts";
import { findLive } from "./internal.ts";
import type { OpenIntent } from "./openIntent.ts";
import { findOpenIntent } from "./openIntent.ts";
import { TIER_METADATA } from "./planSubscription.ts";
import { syncStripeInvoice } from "./syncStripeInvoice.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";
import { ensureTierPrice } from "./tierPrice.ts";

const { subscriptions } = schema;

/** Until when a subscription is asked for under its key, and from when on nobody does any more. */
const KEY_MS = 50 * 60_000;
const ABANDONED_MS = 60 * 60_000;

export interface StartedSubscription extends SyncedSubscription {
  /** Not undefined when the bank wants to ask the cardholder. */
  readonly asks: OpenIntent | undefined;
}

/**
 * Writes a subscription down and asks Stripe for it under the row's own id: whoever asks at the same moment, and whatever
 * dies in between, there is one. A refused card leaves nothing behind.
 * @throws TollgateError PAYMENT_REQUIRED with the bank's reason, or `card_missing`; NOT_FOUND for another's card; UNAVAILABLE
 */
export async function startSubscription(
  ctx: PaymentsContext,
  request: { readonly billingAccountId: string; readonly tier: TierRow; readonly cardId: string | undefined },
): Promise<StartedSubscription> {
  const { billingAccountId, tier } = request;
  const customer = await ensureStripeCustomer(ctx, billingAccountId);
  const cardId = await chooseCard(ctx, billingAccountId, customer, request.cardId);
  const stripePriceId = await ensureTierPrice(ctx, tier);
  const row = await claim(ctx, { billingAccountId, tierId: tier.id, stripePriceId, cardId });
  return finishStart(ctx, row);
}

/** Asks Stripe for a subscription that is written down, with what was written down. */
export async function finishStart(ctx: PaymentsContext, row: SubscriptionRow): Promise<StartedSubscription> {
  const stripeId = row.stripeSubscriptionId ?? (await makeAtStripe(ctx, row));
  const synced = await requireSynced(ctx, stripeId);
  const { latest_invoice: invoice } = synced.facts;
  if (invoice !== null) await syncStripeInvoice(ctx, invoice.id);
  if (synced.row.status !== "incomplete") return { ...synced, asks: undefined };
  const intent = await findOpenIntent(ctx, synced.facts);
  if (intent?.status === "requires_action" || intent?.status === "processing") return { ...synced, asks: intent };
  const ended = await endUnlessPaid(ctx, synced);
  // Somebody has paid at Stripe's page in the meantime.
  if (ended.row.status !== "ended") return { ...ended, asks: undefined };
  throw cardRefused(intent?.failureCode ?? "card_declined", intent?.failureMessage ?? "The card was declined");
}

/**
 * Makes it at Stripe, or finds the one that was made before and whose answer was lost. Late, when Stripe may have forgotten
 * the key, it is only looked for.
 */
async function makeAtStripe(ctx: PaymentsContext, row: SubscriptionRow): Promise<string> {
  if (ctx.clock.nowMs() - row.createdAt.getTime() < KEY_MS) return createAtStripe(ctx, row);
  const found = await findAtStripe(ctx, row);
  if (found !== undefined) return found;
  await abandonIfOld(ctx, row);
  throw unavailable("An earlier request came to nothing: ask again in a moment", { reason: "payments_unavailable" });
}

/** The subscription that a row became whose answer was lost. */
export async function findAtStripe(ctx: PaymentsContext, row: SubscriptionRow): Promise<string | undefined> {
  const { client } = requireStripe(ctx);
  const customer = await findStripeCustomer(ctx, row.billingAccountId);
  if (customer === undefined) return undefined;
  return askStripe(async () => {
    for await (const one of client.subscriptions.list({ customer, status: "all", limit: 100 })) {
      if (one.metadata[TIER_METADATA.subscriptionId] === row.id) return one.id;
    }
    return undefined;
  });
}

/**
 * Gives up a subscription that Stripe does not know, when nobody can still be about to ask for it: one that was given up
 * sooner could begin, and be paid for, afterwards. @returns whether it is given up
 */
export async function abandonIfOld(ctx: PaymentsContext, row: SubscriptionRow): Promise<boolean> {
  if (ctx.clock.nowMs() - row.createdAt.getTime() < ABANDONED_MS) return false;
  await abandon(ctx, row);
  return true;
}

async function createAtStripe(ctx: PaymentsContext, row: SubscriptionRow): Promise<string> {
  const { client } = requireStripe(ctx);
  const customer = await ensureStripeCustomer(ctx, row.billingAccountId);
  try {
    const made = await client.subscriptions.create(
      {
        customer,
        items: [{ price: row.stripePriceId }],
        ...(row.cardId === null ? {} : { default_payment_method: row.cardId }),
        payment_behavior: "allow_incomplete",
        metadata: {
          [METADATA.billingAccountId]: row.billingAccountId,
          [TIER_METADATA.subscriptionId]: row.id,
          [METADATA.kind]: "subscription",
        },
      },
      { idempotencyKey: row.id },
    );
    return made.id;
  } catch (error) {
    if (isHopeless(error)) await abandon(ctx, row);
    return askStripe(() => Promise.reject(error));
  }
}

/** The card, the price or the customer is gone: no other try will be better, and another request may begin anew. */
const isHopeless = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode !== 409 && error.statusCode !== 429;

/** Ends a subscription that Stripe has never heard of. */
async function abandon(ctx: PaymentsContext, row: SubscriptionRow): Promise<void> {
  const now = ctx.clock.now();
  await withTransaction(
    ctx,
    async (ctx) => {
      const [current] = await ctx.db.select().from(subscriptions).where(eq(subscriptions.id, row.id)).for("update");
      if (current === undefined || current.stripeSubscriptionId !== null || current.endedAt !== null) return;
      await ctx.db
        .update(subscriptions)
        .set({ status: "ended", endedAt: now, updatedAt: now, revision: sql`${subscriptions.revision} + 1` })
        .where(eq(subscriptions.id, row.id));
      await writeAudit(ctx, {
        action: "billing.abandonSubscription",
        subject: row.billingAccountId,
        after: { subscriptionId: row.id },
      });
    },
    { isIdempotent: true },
  );
}

async function claim(
  ctx: PaymentsContext,
  request: Pick<SubscriptionRow, "billingAccountId" | "tierId" | "stripePriceId" | "cardId">,
): Promise<SubscriptionRow> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const now = ctx.clock.now();
      const [made] = await ctx.db
        .insert(subscriptions)
        .values({ ...request, id: newId("subscription"), status: "incomplete", createdAt: now, updatedAt: now })
        .onConflictDoNothing()
        .returning();
      if (made !== undefined) {
        await writeAudit(ctx, {
          action: "billing.subscribeTier",
          subject: request.billingAccountId,
          after: { subscriptionId: made.id, tierId: request.tierId, cardId: request.cardId },
        });
        return made;
      }
      const live = await findLive(ctx, request.billingAccountId);
      if (live === undefined) throw new Error("A subscription that stood in the way cannot be found");
      return live;
    },
    { isIdempotent: true },
  );
}

/**
 * The card to charge: the one that is named, or null for the customer's default card.
 * @throws TollgateError NOT_FOUND for another's card; PAYMENT_REQUIRED `card_missing`
 */
async function chooseCard(
  ctx: PaymentsContext,
  billingAccountId: string,
  stripeCustomerId: string,
  cardId: string | undefined,
): Promise<string | null> {
  if (cardId !== undefined) {
    await requireOwnCard(ctx, billingAccountId, cardId);
    return cardId;
  }
  const found = await fetchCards(ctx, stripeCustomerId);
  const [only] = found?.cards ?? [];
  if (only === undefined) {
    throw new TollgateError("PAYMENT_REQUIRED", "There is no card to charge: save one first", {
      reason: "card_missing",
      issues: [{ path: "cardId", message: "There is no card to charge" }],
    });
  }
  return found?.defaultCardId === null ? only.id : null;
}
