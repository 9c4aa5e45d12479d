import type { TierChangePreview, tierChangeInput } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";
import { negateMicros, subtractMicros, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { z } from "zod";
import { askStripe } from "../../payments/askStripe.ts";
import { microsOf } from "../../payments/currency.ts";
import type { PaymentsContext, PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { FREE_TIER_ID } from "../seedTiers.ts";
import type { TierRow } from "./internal.ts";
import { findLive, requireTier } from "./internal.ts";
import { givesTier, itemOf, paidPriceOf } from "./planSubscription.ts";
import { effectOf } from "./subscribeTier.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";
import { centsOfTier, ensureTierPrice, includedCredit } from "./tierPrice.ts";

/**
 * What another tier would cost: what is charged now, the credit that comes with it, and what the next period costs.
 * Nothing changes.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account or a tier; UNAVAILABLE
 */
export async function previewTierChange({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof tierChangeInput>>): Promise<TierChangePreview> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const { currency } = requireStripe(ctx);
  const tier = await requireTier(ctx, input.tierId);
  const priceMicros = microsOf(currency, centsOfTier(tier, currency));
  const live = await findLive(ctx, input.billingAccountId);
  const synced =
    live === undefined || live.stripeSubscriptionId === null
      ? undefined
      : await requireSynced(ctx, live.stripeSubscriptionId);
  const common = { currency: currency.code, unusedMicros: ZERO_MICROS };
  if (synced === undefined || !givesTier(synced.row.status)) {
    const isFree = tier.id === FREE_TIER_ID;
    return {
      ...common,
      effect: isFree ? "none" : "now",
      dueNowMicros: priceMicros,
      creditMicros: includedCredit(ctx, priceMicros),
      nextPeriodStart: isFree ? null : monthAfter(ctx.clock.now()),
      nextPeriodMicros: priceMicros,
    };
  }
  const present = await requireTier(ctx, synced.row.tierId);
  const next = { nextPeriodStart: synced.row.periodEnd, nextPeriodMicros: priceMicros };
  const effect = effectOf(present, tier);
  if (effect !== "now") {
    return { ...common, ...next, effect, dueNowMicros: ZERO_MICROS, creditMicros: ZERO_MICROS };
  }
  const { dueMicros, unusedMicros } = await priceUpgrade(ctx, synced, tier);
  return {
    ...common,
    ...next,
    effect,
    dueNowMicros: dueMicros,
    unusedMicros,
    creditMicros: includedCredit(ctx, dueMicros),
  };
}

/** What an upgrade costs now, as Stripe would charge it. */
async function priceUpgrade(
  ctx: PaymentsContext,
  { row, facts }: SyncedSubscription,
  tier: TierRow,
): Promise<{ readonly dueMicros: Micros; readonly unusedMicros: Micros }> {
  const { client, currency } = requireStripe(ctx);
  const item = itemOf(facts);
  if (row.pendingTierId !== null) {
    // The price at Stripe is the cheaper one's already, which is not what is paid for.
    const at = Math.floor(ctx.clock.nowMs() / 1_000);
    const period = { start: item.current_period_start, end: item.current_period_end };
    const paid = await askStripe(() => client.prices.retrieve(paidPriceOf(facts)));
    const unused = prorateCents(z.int().parse(paid.unit_amount), period, at);
    const remaining = prorateCents(centsOfTier(tier, currency), period, at);
    const unusedMicros = microsOf(currency, unused);
    return { unusedMicros, dueMicros: subtractMicros(microsOf(currency, remaining), unusedMicros) };
  }
  const price = await ensureTierPrice(ctx, tier);
  const preview = await askStripe(() =>
    client.invoices.createPreview({
      subscription: facts.id,
      subscription_details: { items: [{ id: item.id, price }], proration_behavior: "always_invoice" },
    }),
  );
  const given = preview.lines.data.map((line) => microsOf(currency, line.amount)).filter((amount) => amount < 0n);
  return {
    unusedMicros: negateMicros(sumMicros(given)),
    dueMicros: toMicros(microsOf(currency, preview.amount_due)),
  };
}

/** The part of a period's price that falls on the rest of it, to the second, as Stripe rounds it. */
export function prorateCents(
  cents: number,
  period: { readonly start: number; readonly end: number },
  at: number,
): number {
  const left = period.end - Math.min(Math.max(at, period.start), period.end);
  return Math.round((cents * left) / (period.end - period.start));
}

/** The same day and time of the next month, or that month's last day. */
function monthAfter(now: Date): Date {
  const next = new Date(now);
  next.setUTCMonth(next.getUTCMonth() + 1, 1);
  const days = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
  next.setUTCDate(Math.min(now.getUTCDate(), days));
  return next;
}
