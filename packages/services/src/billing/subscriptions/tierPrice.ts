import { creditShare } from "@tollgate/config";
import type { Micros } from "@tollgate/kernel";
import { scaleMicrosRoundedUp } from "@tollgate/kernel";
import type { ServiceContext } from "../../context.ts";
import { askStripe } from "../../payments/askStripe.ts";
import type { Currency } from "../../payments/currency.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import type { TierRow } from "./internal.ts";
import { TIER_METADATA } from "./planSubscription.ts";

/** A tier's monthly price in the currency's smallest unit, rounded up. */
export function centsOfTier(tier: Pick<TierRow, "monthlyPriceMicros">, currency: Currency): number {
  const { microsPerCent } = currency;
  return Number((tier.monthlyPriceMicros + microsPerCent - 1n) / microsPerCent);
}

/** The credit that a payment for a tier comes with: all but the margin, rounded up. */
export function includedCredit(ctx: ServiceContext, paidMicros: Micros): Micros {
  const { numerator, denominator } = creditShare(ctx.settings.margin);
  return scaleMicrosRoundedUp(paidMicros, numerator, denominator);
}

/**
 * The price at Stripe that a tier has now, made when there is none: a tier that costs something else has another price,
 * and subscriptions that run keep theirs. @returns Stripe's id
 */
export async function ensureTierPrice(ctx: PaymentsContext, tier: TierRow): Promise<string> {
  const { client, currency } = requireStripe(ctx);
  const cents = centsOfTier(tier, currency);
  const key = `tollgate:${tier.id}:${currency.code}:${cents}`;
  const found = await askStripe(() => client.prices.list({ lookup_keys: [key], active: true, limit: 1 }));
  const [known] = found.data;
  if (known !== undefined) return known.id;
  const made = await askStripe(() =>
    client.prices.create(
      {
        currency: currency.code,
        unit_amount: cents,
        recurring: { interval: "month" },
        lookup_key: key,
        product_data: { name: tier.displayName },
        metadata: { [TIER_METADATA.tierId]: tier.id },
      },
      { idempotencyKey: `price:${key}` },
    ),
  );
  return made.id;
}
