import type { SubscriptionStatus } from "@tollgate/contracts";
import type Stripe from "stripe";
import { z } from "zod";

/** What this system writes on subscriptions and prices at Stripe, beside whose they are. */
export const TIER_METADATA = {
  subscriptionId: "tollgate_subscription",
  /** Of a price: the tier that it is the price of. */
  tierId: "tollgate_tier",
  /** The tier that is paid for until the end of a period, when the price is another tier's already. */
  paidTierId: "tollgate_paid_tier",
  /** The price that was paid for it: the tier's own may be another by now. */
  paidPrice: "tollgate_paid_price",
  /** The end of that period, in Stripe's seconds. */
  paidUntil: "tollgate_paid_until",
} as const;

const itemSchema = z.object({
  id: z.string(),
  current_period_start: z.int(),
  current_period_end: z.int(),
  quantity: z.int().optional(),
  price: z.object({
    id: z.string(),
    metadata: z.record(z.string(), z.string()),
    unit_amount: z.int(),
    recurring: z.object({ interval: z.enum(["month", "year"]), interval_count: z.int().positive() }),
  }),
});
const invoiceSchema = z.object({
  id: z.string(),
  status: z.string().nullable(),
  billing_reason: z.string().nullable(),
  hosted_invoice_url: z.string().nullable(),
  payments: z.object({
    data: z.array(z.object({ payment: z.object({ payment_intent: z.string().optional() }) })),
  }),
});

/**
 * What of a subscription matters here. A field that Stripe has moved or left out is an error, and never nothing or zero.
 */
const factsSchema = z.object({
  id: z.string(),
  status: z.enum([
    "incomplete",
    "incomplete_expired",
    "trialing",
    "active",
    "past_due",
    "canceled",
    "unpaid",
    "paused",
  ]),
  customer: z.string(),
  created: z.int(),
  ended_at: z.int().nullable(),
  cancel_at_period_end: z.boolean(),
  metadata: z.record(z.string(), z.string()),
  items: z.object({ data: z.array(itemSchema).length(1, { error: "Must be one item" }) }),
  pending_update: z
    .object({
      subscription_items: z
        .array(z.object({ price: z.object({ metadata: z.record(z.string(), z.string()) }) }))
        .nullable(),
    })
    .nullable(),
  latest_invoice: invoiceSchema.nullable(),
});
export type SubscriptionFacts = z.infer<typeof factsSchema>;

/** What must be expanded for {@link readSubscriptionFacts}. */
export const SUBSCRIPTION_EXPANSIONS = ["latest_invoice.payments"];

/** @throws ZodError that names the field that is not what it should be */
export const readSubscriptionFacts = (subscription: Stripe.Subscription): SubscriptionFacts =>
  factsSchema.parse(subscription);

/** The one item of a subscription of ours. */
export function itemOf(facts: SubscriptionFacts): z.infer<typeof itemSchema> {
  const [item] = facts.items.data;
  if (item === undefined) throw new Error(`The subscription ${facts.id} has no item`);
  return item;
}

/** The price that the present period was paid at, which is not the item's when a cheaper tier is planned. */
export const paidPriceOf = (facts: SubscriptionFacts): string => {
  const item = itemOf(facts);
  const paid = facts.metadata[TIER_METADATA.paidPrice];
  return paid !== undefined && isPaidAhead(facts) ? paid : item.price.id;
};

/** Whether the metadata about what is paid for is about the present period, and not about one that is over. */
const isPaidAhead = (facts: SubscriptionFacts): boolean =>
  facts.metadata[TIER_METADATA.paidUntil] === String(itemOf(facts).current_period_end);

/** What a subscription is for us. */
export interface SubscriptionState {
  readonly status: SubscriptionStatus;
  readonly tierId: string;
  readonly pendingTierId: string | null;
  readonly isCancelling: boolean;
  /** A change waits for the cardholder's answer to the bank. */
  readonly isWaiting: boolean;
  /** It ended with a bill that nobody paid, after it had begun. */
  readonly isUnpaid: boolean;
  /** What each further period costs, in the currency's smallest unit, and how many months that is for. */
  readonly renewal: { readonly cents: number; readonly months: number };
  readonly periodStart: Date;
  readonly periodEnd: Date;
}

/**
 * Decides what a subscription is from what Stripe says of it alone, so that it does not matter which news came before. A
 * tier that is to become cheaper has the cheaper price at once, which is charged with the next period, and says until when
 * the dearer one is paid for.
 * @throws Error for a price that this system did not make
 */
export function planSubscription(facts: SubscriptionFacts): SubscriptionState {
  const item = itemOf(facts);
  const priced = item.price.metadata[TIER_METADATA.tierId];
  if (priced === undefined) throw new Error(`The price ${item.price.id} of ${facts.id} is of no tier`);
  const paidTierId = facts.metadata[TIER_METADATA.paidTierId];
  const tierId = paidTierId !== undefined && isPaidAhead(facts) ? paidTierId : priced;
  const status = statusOf(facts.status);
  const invoice = facts.latest_invoice;
  return {
    status,
    tierId,
    pendingTierId: tierId !== priced && status !== "ended" ? priced : null,
    isCancelling: facts.cancel_at_period_end && status !== "ended",
    isWaiting: facts.pending_update !== null && status !== "ended",
    isUnpaid:
      status === "ended" &&
      invoice?.billing_reason === "subscription_cycle" &&
      invoice.status !== "paid" &&
      invoice.status !== "draft",
    renewal: {
      cents: item.price.unit_amount * (item.quantity ?? 1),
      months: item.price.recurring.interval_count * (item.price.recurring.interval === "year" ? 12 : 1),
    },
    periodStart: new Date(item.current_period_start * 1_000),
    periodEnd: new Date(item.current_period_end * 1_000),
  };
}

function statusOf(status: SubscriptionFacts["status"]): SubscriptionStatus {
  switch (status) {
    case "active":
    case "trialing":
      return "active";
    case "past_due":
    case "unpaid":
    case "paused":
      return "past_due";
    case "incomplete":
      return "incomplete";
    case "canceled":
    case "incomplete_expired":
      return "ended";
  }
}

/** Whether a subscription in this status gives its account the tier. */
export const givesTier = (status: SubscriptionStatus): boolean => status === "active" || status === "past_due";
