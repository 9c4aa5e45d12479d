import type { subscribeTierInput, TierChange, TierChangeEffect } from "@tollgate/contracts";
import { TollgateError } from "@tollgate/kernel";
import type { z } from "zod";
import { requireOwnCard } from "../../payments/requireOwnCard.ts";
import type { PaymentsContext, PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { FREE_TIER_ID } from "../seedTiers.ts";
import { cancelInTime } from "./cancelSubscription.ts";
import {
  assertNoChangeWaits,
  changeUnderWay,
  downgrade,
  keepTier,
  payOpenInvoice,
  upgrade,
} from "./changeSubscription.ts";
import { endUnlessPaid } from "./endSubscription.ts";
import type { SubscriptionRow, TierRow } from "./internal.ts";
import { findLive, requireTier, toSubscription } from "./internal.ts";
import type { OpenIntent } from "./openIntent.ts";
import { findOpenIntent } from "./openIntent.ts";
import { TIER_METADATA } from "./planSubscription.ts";
import { finishStart, startSubscription } from "./startSubscription.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";

type Input = z.output<typeof subscribeTierInput>;

/**
 * Puts an account on a tier: a better one now, for the difference of the rest of the period; a cheaper one when the period
 * ends. The same request again changes nothing and charges nothing. When the bank wants to ask the cardholder, the answer
 * says with what, and the tier comes after the bank's answer.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account, a tier or a card; PAYMENT_REQUIRED with the bank's reason
 * or `card_missing`; CONFLICT `payment_due`, `change_under_way`; UNAVAILABLE
 */
export async function subscribeTier({ ctx, input }: PaymentsVerb<Input>): Promise<TierChange> {
  await requireAccountAdmin(ctx, input.billingAccountId);
  requireStripe(ctx);
  const tier = await requireTier(ctx, input.tierId);
  if (input.cardId !== undefined) await requireOwnCard(ctx, input.billingAccountId, input.cardId);
  const live = await findLive(ctx, input.billingAccountId);
  if (live === undefined) return start(ctx, tier, input);
  const synced = await refresh(ctx, live);
  if (synced.row.status === "ended") return start(ctx, tier, input);
  return synced.row.status === "incomplete" ? carryOn(ctx, synced, tier, input) : change(ctx, synced, tier, input);
}

/** A subscription as it is at this moment; one that Stripe was not asked for yet is asked for. */
async function refresh(ctx: PaymentsContext, live: SubscriptionRow): Promise<SyncedSubscription> {
  return live.stripeSubscriptionId === null ? finishStart(ctx, live) : requireSynced(ctx, live.stripeSubscriptionId);
}

async function start(ctx: PaymentsContext, tier: TierRow, input: Input): Promise<TierChange> {
  // An account that pays for nothing is on this tier already.
  if (tier.id === FREE_TIER_ID) return { effect: "none", subscription: null, clientSecret: null, hostedUrl: null };
  const { billingAccountId, cardId } = input;
  const started = await startSubscription(ctx, { billingAccountId, tier, cardId });
  // Somebody else may have asked for another tier at the same moment.
  if (started.row.tierId !== tier.id && started.asks === undefined) return change(ctx, started, tier, input);
  return answer("now", started, started.asks);
}

/** The first payment has not come yet: the same tier asks the same question again, another one begins anew. */
async function carryOn(
  ctx: PaymentsContext,
  synced: SyncedSubscription,
  tier: TierRow,
  input: Input,
): Promise<TierChange> {
  const intent = await findOpenIntent(ctx, synced.facts);
  const isAsking = intent?.status === "requires_action" || intent?.status === "processing";
  if (isAsking && synced.row.tierId === tier.id && input.cardId === undefined) return answer("now", synced, intent);
  const isSameCard = synced.row.cardId === input.cardId;
  if (isAsking && synced.row.tierId === tier.id && isSameCard) return answer("now", synced, intent);
  if (intent?.status === "processing") throw changeUnderWay("The first payment is under way: its outcome comes first");
  const ended = await endUnlessPaid(ctx, synced);
  return ended.row.status === "ended" ? start(ctx, tier, input) : change(ctx, ended, tier, input);
}

async function change(
  ctx: PaymentsContext,
  synced: SyncedSubscription,
  tier: TierRow,
  input: Input,
): Promise<TierChange> {
  const { row, facts } = synced;
  if (facts.pending_update !== null) {
    const waits = facts.pending_update.subscription_items?.[0]?.price.metadata[TIER_METADATA.tierId];
    if (waits !== tier.id) assertNoChangeWaits(facts);
    return answer("now", synced, await findOpenIntent(ctx, facts));
  }
  const present = await requireTier(ctx, row.tierId);
  if (row.status === "past_due") {
    if (tier.id !== present.id) {
      throw new TollgateError("CONFLICT", "The last period is not paid yet: that comes first", {
        reason: "payment_due",
      });
    }
    const asks = await payOpenInvoice(ctx, synced, input.cardId);
    return answer("now", await requireSynced(ctx, facts.id), asks);
  }
  switch (effectOf(present, tier)) {
    case "none":
      return answer("none", await keepTier(ctx, synced), undefined);
    case "now": {
      const upgraded = await upgrade(ctx, synced, { to: tier, cardId: input.cardId });
      return answer("now", upgraded, upgraded.asks);
    }
    case "at_period_end": {
      if (tier.id === FREE_TIER_ID) return answer("at_period_end", await cancelInTime(ctx, synced), undefined);
      const isPlanned = row.pendingTierId === tier.id && !row.isCancelling;
      return answer("at_period_end", isPlanned ? synced : await downgrade(ctx, synced, tier), undefined);
    }
  }
}

/** When a change from one tier to another begins: a better one now, a cheaper one when what is paid for has ended. */
export function effectOf(
  present: Pick<TierRow, "id" | "monthlyPriceMicros" | "rank">,
  wanted: Pick<TierRow, "id" | "monthlyPriceMicros" | "rank">,
): TierChangeEffect {
  if (present.id === wanted.id) return "none";
  if (present.monthlyPriceMicros !== wanted.monthlyPriceMicros) {
    return wanted.monthlyPriceMicros > present.monthlyPriceMicros ? "now" : "at_period_end";
  }
  return wanted.rank > present.rank ? "now" : "at_period_end";
}

const answer = (
  effect: TierChangeEffect,
  { row, facts }: SyncedSubscription,
  asks: OpenIntent | undefined,
): TierChange => ({
  effect,
  subscription: toSubscription(row),
  clientSecret: asks?.status === "requires_action" ? asks.clientSecret : null,
  hostedUrl: asks?.status === "requires_action" ? (facts.latest_invoice?.hosted_invoice_url ?? null) : null,
});
