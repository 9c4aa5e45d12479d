import { invalidRequest } from "../http/apiError.ts";
import type { Plan, Price } from "./stored.ts";
import type { World } from "./world.ts";

/** A price seen as a plan, which subscription items still show. */
export function planOf(price: Price): Plan {
  const { recurring } = price;
  return {
    id: price.id,
    object: "plan",
    active: price.active,
    amount: price.unit_amount,
    amount_decimal: price.unit_amount_decimal,
    billing_scheme: price.billing_scheme,
    created: price.created,
    currency: price.currency,
    interval: recurring?.interval ?? "month",
    interval_count: recurring?.interval_count ?? 1,
    livemode: false,
    metadata: price.metadata,
    meter: null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: "licensed",
  };
}

export function recurringOf(price: Price): NonNullable<Price["recurring"]> {
  if (price.recurring === null) {
    throw invalidRequest(
      "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
      {
        param: "items[0][price]",
      },
    );
  }
  return price.recurring;
}

/** What a quantity costs, in the smallest unit. */
export const amountOf = (price: Price, quantity: number): number => (price.unit_amount ?? 0) * quantity;

export const productName = (world: World, price: Price): string =>
  world.products.find(price.product)?.name ?? price.nickname ?? price.product;
