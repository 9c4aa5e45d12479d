import { behaviourOf } from "../cards.ts";
import { cardDeclined, invalidRequest } from "../http/apiError.ts";
import { innerList } from "../http/pages.ts";
import type { NewLine } from "./invoiceLines.ts";
import { createInvoice, finalizeInvoice, intentOf, payInvoice, subscriptionOf, voidInvoice } from "./invoices.ts";
import { boundary, daysAfter } from "./periods.ts";
import { amountOf, planOf, productName, recurringOf } from "./prices.ts";
import type { CardError, Invoice, Price, Subscription, SubscriptionItem } from "./stored.ts";
import type { World } from "./world.ts";

export type PaymentBehavior =
  | "allow_incomplete"
  | "default_incomplete"
  | "error_if_incomplete"
  | "pending_if_incomplete";

export interface NewSubscription {
  readonly customer: string;
  readonly items: readonly {
    readonly price: Price;
    readonly quantity: number;
    readonly metadata?: Record<string, string>;
  }[];
  readonly paymentBehavior: PaymentBehavior;
  readonly isOffSession: boolean;
  readonly trialEnd?: number | undefined;
  readonly details: Partial<Subscription>;
}

const INCOMPLETE_SECONDS = 23 * 3_600;
export const incompleteUntil = (subscription: Subscription): number => subscription.created + INCOMPLETE_SECONDS;

export const itemsOf = (subscription: Subscription): SubscriptionItem[] => subscription.items.data;
/** When the present period ends: all items of a subscription share it here. */
export const periodEndOf = (subscription: Subscription): number => itemsOf(subscription)[0]?.current_period_end ?? 0;
export const periodStartOf = (subscription: Subscription): number =>
  itemsOf(subscription)[0]?.current_period_start ?? 0;

export function createSubscription(world: World, request: NewSubscription): Subscription {
  const customer = world.customer(request.customer, "customer");
  const [first] = request.items;
  if (first === undefined)
    throw invalidRequest("Missing required param: items.", { code: "parameter_missing", param: "items" });
  const now = world.now(customer.id);
  const recurring = recurringOf(first.price);
  const isTrial = request.trialEnd !== undefined && request.trialEnd > now;
  const anchor = isTrial ? (request.trialEnd as number) : now;
  const end = isTrial ? anchor : boundary(anchor, recurring, 1);
  if (request.paymentBehavior === "error_if_incomplete" && !isTrial) assertWouldPay(world, request);
  const subscription = insertSubscription(world, request, { now, anchor, isTrial, currency: first.price.currency });
  for (const { price, quantity, metadata } of request.items) {
    addItem(world, subscription, price, quantity, { start: now, end }, metadata);
  }
  world.emit("customer.subscription.created", subscription);
  const lines = itemsOf(subscription).map((item) =>
    isTrial
      ? {
          ...lineOfPeriod(world, subscription, item),
          amount: 0,
          description: `Trial period for ${productName(world, item.price)}`,
        }
      : lineOfPeriod(world, subscription, item),
  );
  const invoice = createInvoice(world, {
    customer: customer.id,
    currency: subscription.currency,
    reason: "subscription_create",
    subscription,
    lines,
  });
  subscription.latest_invoice = invoice.id;
  finalizeInvoice(world, invoice);
  if (invoice.status === "open" && request.paymentBehavior !== "default_incomplete") {
    payInvoice(world, invoice, { isOffSession: request.isOffSession });
  }
  return subscription;
}

function insertSubscription(
  world: World,
  request: NewSubscription,
  at: { now: number; anchor: number; isTrial: boolean; currency: string },
): Subscription {
  const id = world.id("sub");
  return world.subscriptions.insert({
    id,
    object: "subscription",
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: at.anchor,
    billing_cycle_anchor_config: null,
    billing_mode: {
      flexible: { proration_discounts: "included" },
      type: "flexible",
      updated_at: at.now,
    } as Subscription["billing_mode"],
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: "charge_automatically",
    created: at.now,
    currency: at.currency,
    customer: request.customer,
    customer_account: null,
    days_until_due: null,
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    items: innerList<SubscriptionItem>([], `/v1/subscription_items?subscription=${id}`),
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    metadata: {},
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: { payment_method_options: null, payment_method_types: null, save_default_payment_method: "off" },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: at.now,
    status: at.isTrial ? "trialing" : "incomplete",
    test_clock: world.testClockOf(request.customer),
    transfer_data: null,
    trial_end: at.isTrial ? at.anchor : null,
    trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: "create_invoice" } },
    trial_start: at.isTrial ? at.now : null,
    ...request.details,
  });
}

export function addItem(
  world: World,
  subscription: Subscription,
  price: Price,
  quantity: number,
  period: { start: number; end: number },
  metadata: Record<string, string> = {},
): SubscriptionItem {
  const item: SubscriptionItem = {
    id: world.id("si"),
    object: "subscription_item",
    billing_thresholds: null,
    created: world.now(subscription.customer),
    current_period_end: period.end,
    current_period_start: period.start,
    current_trial: null,
    discounts: [],
    metadata,
    plan: planOf(price),
    price: structuredClone(price),
    quantity,
    subscription: subscription.id,
    tax_rates: [],
  };
  subscription.items.data.push(item);
  return item;
}

/** What an item costs for its present period. */
export function lineOfPeriod(world: World, subscription: Subscription, item: SubscriptionItem): NewLine {
  const { price } = item;
  const quantity = item.quantity ?? 1;
  const each = ((price.unit_amount ?? 0) / 100).toFixed(2);
  return {
    amount: amountOf(price, quantity),
    description: `${quantity} × ${productName(world, price)} (at $${each} / ${recurringOf(price).interval})`,
    currency: price.currency,
    period: { start: item.current_period_start, end: item.current_period_end },
    price,
    quantity,
    subscription: subscription.id,
    subscriptionItem: item.id,
  };
}

function assertWouldPay(world: World, request: NewSubscription): void {
  const total = request.items.reduce((sum, item) => sum + amountOf(item.price, item.quantity), 0);
  if (total > 0) assertMethodPays(world, request.customer, request.details.default_payment_method ?? undefined);
}

/** Whether a payment now would go through. @throws ApiError 402, and nothing has changed */
export function assertMethodPays(world: World, customerId: string, own: string | undefined): void {
  const id = own ?? world.customers.find(customerId)?.invoice_settings.default_payment_method ?? undefined;
  const method = world.paymentMethods.find(id);
  if (method === undefined) {
    throw invalidRequest("This customer has no attached payment source or default payment method.", {
      code: "resource_missing",
    });
  }
  const { declines, authentication } = behaviourOf(method);
  const asks =
    authentication === "always" || (authentication === "untilSetUp" && world.cardsSetUp.find(method.id) === undefined);
  if (asks) {
    throw cardDeclined({
      type: "card_error",
      code: "subscription_payment_intent_requires_action",
      message: "Payment for this subscription requires additional user action before it can be completed successfully.",
    } as CardError);
  }
  if (declines !== undefined) {
    const { code, declineCode, message } = declines;
    throw cardDeclined({
      type: "card_error",
      code,
      message,
      ...(declineCode === undefined ? {} : { decline_code: declineCode }),
    } as CardError);
  }
}

/** An invoice of a subscription was paid or refused: the subscription's status follows. */
export function followInvoice(world: World, invoice: Invoice, outcome: "paid" | "refused"): void {
  const subscription = subscriptionOf(world, invoice);
  if (subscription === undefined || subscription.status === "canceled") return;
  if (outcome === "paid") followPaid(world, subscription, invoice);
  else followRefused(world, subscription, invoice);
}

function followRefused(world: World, subscription: Subscription, invoice: Invoice): void {
  if (subscription.status === "incomplete" || subscription.pending_update !== null) return;
  const { afterLast } = world.dunning;
  const isLast = invoice.billing_reason === "subscription_cycle" && invoice.next_payment_attempt === null;
  if (isLast && afterLast === "cancel") return void cancelSubscription(world, subscription, "payment_failed");
  const status = isLast && afterLast === "unpaid" ? "unpaid" : "past_due";
  world.update(subscription, { status }, "customer.subscription.updated");
}

function followPaid(world: World, subscription: Subscription, invoice: Invoice): void {
  const changes: Partial<Subscription> = {};
  const isOpen = ["incomplete", "past_due", "unpaid"].includes(subscription.status);
  if (isOpen && subscription.latest_invoice === invoice.id) changes.status = "active";
  if (subscription.payment_settings?.save_default_payment_method === "on_subscription") {
    const paidWith = intentOf(world, invoice)?.payment_method;
    if (typeof paidWith === "string") changes.default_payment_method = paidWith;
  }
  world.update(subscription, changes, "customer.subscription.updated");
  if (subscription.pending_update !== null) world.onPendingUpdatePaid(subscription);
}

export function cancelSubscription(
  world: World,
  subscription: Subscription,
  reason: "cancellation_requested" | "payment_failed" = "cancellation_requested",
): Subscription {
  const now = world.now(subscription.customer);
  Object.assign(subscription, {
    status: "canceled",
    canceled_at: subscription.canceled_at ?? now,
    ended_at: now,
    cancel_at_period_end: false,
    cancellation_details: { ...subscription.cancellation_details, reason },
  });
  for (const item of world.invoiceItems.filter(
    (row) => row.invoice === null && row.parent?.subscription_details?.subscription === subscription.id,
  )) {
    world.invoiceItems.delete(item.id);
  }
  world.emit("customer.subscription.deleted", subscription);
  return subscription;
}

/** Nobody paid the first invoice in time. */
export function expireIncomplete(world: World, subscription: Subscription): void {
  const invoice = world.invoices.find(subscription.latest_invoice);
  if (invoice?.status === "open") voidInvoice(world, invoice);
  world.update(
    subscription,
    { status: "incomplete_expired", ended_at: world.now(subscription.customer) },
    "customer.subscription.updated",
  );
}

/** A period is over: it ends, or the next one begins with an invoice that is final an hour later. */
export function renewSubscription(world: World, subscription: Subscription): void {
  if (subscription.cancel_at_period_end) return void cancelSubscription(world, subscription);
  const [first] = itemsOf(subscription);
  if (first === undefined) return void cancelSubscription(world, subscription);
  const recurring = recurringOf(first.price);
  const start = first.current_period_end;
  const end = nextBoundary(subscription.billing_cycle_anchor, recurring, start);
  const previous = { items: structuredClone(subscription.items), status: subscription.status };
  const ended = { start: first.current_period_start, end: start };
  for (const item of itemsOf(subscription))
    Object.assign(item, { current_period_start: start, current_period_end: end });
  if (subscription.status === "trialing") subscription.status = "active";
  const invoice = createInvoice(world, {
    customer: subscription.customer,
    currency: subscription.currency,
    reason: "subscription_cycle",
    subscription,
    period: ended,
    isAutoAdvance: true,
    lines: itemsOf(subscription).map((item) => lineOfPeriod(world, subscription, item)),
  });
  subscription.latest_invoice = invoice.id;
  world.emit("customer.subscription.updated", subscription, previous);
}

/** The first boundary after an instant. */
export function nextBoundary(anchor: number, recurring: ReturnType<typeof recurringOf>, after: number): number {
  let index = 1;
  while (boundary(anchor, recurring, index) <= after) index += 1;
  return boundary(anchor, recurring, index);
}

export const dueDateOf = (now: number, daysUntilDue: number | null): number => daysAfter(now, daysUntilDue ?? 30);
