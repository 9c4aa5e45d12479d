import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { pageOf, pageOfRows } from "../http/pages.ts";
import {
  anything,
  bool,
  currency,
  expand,
  given,
  int,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
  timestamp,
  unsettable,
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { createInvoice, finalizeInvoice, payInvoice } from "../world/invoices.ts";
import { daysAfter } from "../world/periods.ts";
import type { Price, Subscription } from "../world/stored.ts";
import { changeSubscription, itemChanges, prorationLines } from "../world/subscriptionChanges.ts";
import { cancelSubscription, createSubscription, itemsOf } from "../world/subscriptions.ts";
import type { World } from "../world/world.ts";
import { createPrice, priceData } from "./products.ts";

const itemInput = z.strictObject({
  id: text.optional(),
  price: text.optional(),
  plan: text.optional(),
  price_data: priceData.optional(),
  quantity: int.optional(),
  metadata: metadata.optional(),
  deleted: bool.optional(),
});
const fields = {
  cancel_at: z.union([int, z.literal("")]).optional(),
  cancel_at_period_end: bool.optional(),
  collection_method: z.enum(["charge_automatically", "send_invoice"]).optional(),
  days_until_due: int.optional(),
  default_payment_method: unsettable.optional(),
  description: unsettable.optional(),
  expand,
  metadata: metadata.optional(),
  off_session: bool.optional(),
  payment_behavior: z
    .enum(["allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"])
    .optional(),
  payment_settings: z
    .strictObject({
      payment_method_options: anything.optional(),
      payment_method_types: z.array(text).optional(),
      save_default_payment_method: z.enum(["off", "on_subscription"]).optional(),
    })
    .optional(),
  proration_behavior: z.enum(["create_prorations", "always_invoice", "none"]).optional(),
  trial_end: timestamp.optional(),
  trial_settings: anything.optional(),
  billing_mode: anything.optional(),
};
const createInput = z.strictObject({
  ...fields,
  currency: currency.optional(),
  customer: text,
  items: z.array(itemInput).min(1),
  trial_period_days: int.optional(),
});
const changeInput = {
  billing_cycle_anchor: z.enum(["now", "unchanged"]).optional(),
  items: z.array(itemInput).optional(),
  proration_date: int.optional(),
};
const updateInput = z.strictObject({
  ...fields,
  ...changeInput,
  cancellation_details: z.strictObject({ comment: text.optional(), feedback: text.optional() }).optional(),
});
type UpdateInput = z.output<typeof updateInput>;

/** What `invoices.createPreview` may be told of a subscription. */
export const previewDetails = z.strictObject({
  ...changeInput,
  cancel_at_period_end: bool.optional(),
  proration_behavior: fields.proration_behavior,
  trial_end: timestamp.optional(),
});

export const subscriptionRoutes = [
  route("POST", "/v1/subscriptions", createInput, ({ world, input }) => {
    const items = input.items.map((item, index) => ({
      price: priceOf(world, item, index),
      quantity: item.quantity ?? 1,
      ...(typeof item.metadata === "object" ? { metadata: item.metadata } : {}),
    }));
    const now = world.now(world.customer(input.customer, "customer").id);
    return createSubscription(world, {
      customer: input.customer,
      items,
      paymentBehavior: input.payment_behavior ?? "allow_incomplete",
      isOffSession: input.off_session ?? false,
      trialEnd:
        input.trial_period_days === undefined
          ? typeof input.trial_end === "number"
            ? input.trial_end
            : undefined
          : daysAfter(now, input.trial_period_days),
      details: detailsOf(world, undefined, input, input.customer),
    });
  }),
  route("GET", "/v1/subscriptions/:id", z.strictObject({ expand }), (call) => call.world.subscriptions.get(idOf(call))),
  route("POST", "/v1/subscriptions/:id", updateInput, (call) => {
    const subscription = call.world.subscriptions.get(idOf(call));
    if (subscription.status === "canceled" || subscription.status === "incomplete_expired") {
      throw invalidRequest("A canceled subscription can only update its cancellation_details and metadata.");
    }
    return updateSubscription(call.world, subscription, call.input);
  }),
  route(
    "DELETE",
    "/v1/subscriptions/:id",
    z.strictObject({
      invoice_now: bool.optional(),
      prorate: bool.optional(),
      cancellation_details: anything.optional(),
      expand,
    }),
    (call) => {
      const { world, input } = call;
      const subscription = world.subscriptions.get(idOf(call));
      if (subscription.status === "canceled") {
        throw invalidRequest(`No such subscription: '${subscription.id}'`, { code: "resource_missing", param: "id" });
      }
      if (input.prorate === true) giveBack(world, subscription, input.invoice_now === true);
      return cancelSubscription(world, subscription);
    },
  ),
  route(
    "GET",
    "/v1/subscriptions",
    z.strictObject({
      ...paging,
      customer: text.optional(),
      price: text.optional(),
      status: text.optional(),
      test_clock: text.optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.subscriptions,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.status === undefined
            ? row.status !== "canceled" && row.status !== "incomplete_expired"
            : input.status === "all" || row.status === input.status) &&
          (input.price === undefined || itemsOf(row).some((item) => item.price.id === input.price)) &&
          (input.test_clock === undefined || row.test_clock === input.test_clock),
      ),
  ),
  route("GET", "/v1/subscription_items", z.strictObject({ ...paging, subscription: text }), ({ world, input, path }) =>
    pageOfRows(itemsOf(world.subscriptions.get(input.subscription, "subscription")), input, path),
  ),
];

/** The rest of the period as a credit, on an invoice now or on the next one. */
function giveBack(world: World, subscription: Subscription, isInvoicedNow: boolean): void {
  const change = {
    items: itemsOf(subscription).map((item) => ({ item, price: undefined, quantity: undefined, isDeleted: true })),
    prorationBehavior: "always_invoice" as const,
    prorationDate: world.now(subscription.customer),
    isAnchorReset: false,
    paymentBehavior: "allow_incomplete" as const,
    isOffSession: true,
    details: {},
  };
  const lines = prorationLines(world, subscription, change);
  if (!isInvoicedNow || lines.length === 0) return;
  const { customer, currency: code } = subscription;
  const invoice = createInvoice(world, {
    customer,
    currency: code,
    reason: "subscription_update",
    subscription,
    lines,
  });
  subscription.latest_invoice = invoice.id;
  finalizeInvoice(world, invoice);
  if (invoice.status === "open") payInvoice(world, invoice, { isOffSession: true });
}

export function updateSubscription(world: World, subscription: Subscription, input: UpdateInput): Subscription {
  const now = world.now(subscription.customer);
  const details = detailsOf(world, subscription, input, subscription.customer);
  if (input.trial_end === "now" && subscription.status === "trialing") Object.assign(details, { trial_end: now });
  const isTrialEnding = input.trial_end === "now" && subscription.status === "trialing";
  if (isTrialEnding) subscription.status = "active";
  return changeSubscription(world, subscription, {
    items: itemChanges(
      world,
      subscription,
      (input.items ?? []).map((item, index) => normalise(world, item, index)),
    ),
    prorationBehavior: input.proration_behavior ?? "create_prorations",
    prorationDate: input.proration_date ?? now,
    isAnchorReset: input.billing_cycle_anchor === "now" || isTrialEnding,
    paymentBehavior: input.payment_behavior ?? "allow_incomplete",
    isOffSession: input.off_session ?? false,
    details,
  });
}

function normalise(world: World, item: z.output<typeof itemInput>, index: number) {
  const isPriced = item.price !== undefined || item.plan !== undefined || item.price_data !== undefined;
  return isPriced ? { ...item, price: priceOf(world, item, index).id } : item;
}

function priceOf(world: World, item: z.output<typeof itemInput>, index: number): Price {
  if (item.price_data !== undefined) return createPrice(world, item.price_data as Parameters<typeof createPrice>[1]);
  const id = item.price ?? item.plan;
  if (id === undefined)
    throw invalidRequest(`Missing required param: items[${index}][price].`, {
      code: "parameter_missing",
      param: `items[${index}][price]`,
    });
  const price = world.prices.get(id, `items[${index}][price]`);
  if (!price.active)
    throw invalidRequest("The price specified is inactive. This field only accepts active prices.", {
      param: `items[${index}][price]`,
    });
  return price;
}

function detailsOf(
  world: World,
  before: Subscription | undefined,
  input: UpdateInput,
  customer: string,
): Partial<Subscription> {
  const method = input.default_payment_method;
  if (typeof method === "string" && world.paymentMethods.get(method, "default_payment_method").customer !== customer) {
    throw invalidRequest(
      `The customer does not have a payment method with the ID ${method}. The payment method must be attached to the customer.`,
      { code: "resource_missing", param: "default_payment_method" },
    );
  }
  const now = world.now(customer);
  const isEnding = input.cancel_at_period_end;
  const cancelAt = input.cancel_at === "" ? null : input.cancel_at;
  const end = before === undefined ? null : (itemsOf(before)[0]?.current_period_end ?? null);
  return given({
    collection_method: input.collection_method,
    days_until_due: input.days_until_due,
    default_payment_method: method,
    description: input.description,
    metadata: input.metadata === undefined ? undefined : mergeMetadata(before?.metadata ?? null, input.metadata),
    cancel_at_period_end: isEnding,
    cancel_at: isEnding === undefined ? cancelAt : isEnding ? end : null,
    canceled_at:
      isEnding === undefined ? (cancelAt === undefined ? undefined : cancelAt && now) : isEnding ? now : null,
    cancellation_details: isEnding === undefined ? undefined : cancellationOf(isEnding, input),
    payment_settings:
      input.payment_settings === undefined ? undefined : paymentSettingsOf(before, input.payment_settings),
  });
}

function cancellationOf(isEnding: boolean, input: UpdateInput): NonNullable<Subscription["cancellation_details"]> {
  type Feedback = NonNullable<Subscription["cancellation_details"]>["feedback"];
  return {
    comment: input.cancellation_details?.comment ?? null,
    feedback: (input.cancellation_details?.feedback ?? null) as Feedback,
    feedback_option: null,
    reason: isEnding ? "cancellation_requested" : null,
  };
}

type PaymentSettings = NonNullable<Subscription["payment_settings"]>;

function paymentSettingsOf(
  before: Subscription | undefined,
  input: NonNullable<UpdateInput["payment_settings"]>,
): PaymentSettings {
  return {
    payment_method_options: null,
    payment_method_types: (input.payment_method_types ?? null) as PaymentSettings["payment_method_types"],
    save_default_payment_method:
      input.save_default_payment_method ?? before?.payment_settings?.save_default_payment_method ?? "off",
  };
}
