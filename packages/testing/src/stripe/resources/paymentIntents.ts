import { randomBase62 } from "@tollgate/kernel";
import { z } from "zod";
import { cardDeclined, invalidRequest } from "../http/apiError.ts";
import { pageOf } from "../http/pages.ts";
import {
  anything,
  bool,
  currency,
  expand,
  int,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
  unsettable,
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { capturePayment, confirmPayment } from "../world/payments.ts";
import type { CardError, PaymentIntent, PaymentMethod } from "../world/stored.ts";
import type { World } from "../world/world.ts";
import { createPaymentMethod, paymentMethodData } from "./paymentMethods.ts";

const captureMethod = z.enum(["automatic", "automatic_async", "manual"]);
const confirmFields = {
  allowed_payment_method_types: z.array(text).optional(),
  capture_method: captureMethod.optional(),
  client_secret: text.optional(),
  error_on_requires_action: bool.optional(),
  expand,
  mandate_data: anything.optional(),
  off_session: z.union([bool, z.enum(["one_off", "recurring"])]).optional(),
  payment_method: text.optional(),
  payment_method_data: paymentMethodData.optional(),
  payment_method_options: anything.optional(),
  payment_method_types: z.array(text).optional(),
  receipt_email: unsettable.optional(),
  return_url: text.optional(),
  setup_future_usage: z.enum(["off_session", "on_session"]).optional(),
  shipping: anything.optional(),
  use_stripe_sdk: bool.optional(),
};
const createInput = z.strictObject({
  ...confirmFields,
  amount: int,
  automatic_payment_methods: z.strictObject({ enabled: bool, allow_redirects: text.optional() }).optional(),
  confirm: bool.optional(),
  confirmation_method: z.enum(["automatic", "manual"]).optional(),
  currency,
  customer: text.optional(),
  description: text.optional(),
  metadata: metadata.optional(),
  statement_descriptor: text.optional(),
  statement_descriptor_suffix: text.optional(),
  transfer_group: text.optional(),
});
type CreateInput = z.output<typeof createInput>;
type ConfirmInput = z.output<ReturnType<typeof z.strictObject<typeof confirmFields>>>;

export const paymentIntentRoutes = [
  route("POST", "/v1/payment_intents", createInput, ({ world, input }) => {
    const intent = createPaymentIntent(world, input);
    const method = methodOf(world, input);
    if (method !== undefined) {
      assertUsable(intent, method);
      Object.assign(intent, { payment_method: method.id, status: "requires_confirmation" });
    }
    world.emit("payment_intent.created", intent);
    return input.confirm === true ? confirm(world, intent, input) : intent;
  }),
  route("GET", "/v1/payment_intents/:id", z.strictObject({ client_secret: text.optional(), expand }), (call) =>
    call.world.paymentIntents.get(idOf(call)),
  ),
  route(
    "POST",
    "/v1/payment_intents/:id",
    z.strictObject({
      amount: int.optional(),
      currency: currency.optional(),
      customer: text.optional(),
      description: unsettable.optional(),
      metadata: metadata.optional(),
      payment_method: text.optional(),
      receipt_email: unsettable.optional(),
      setup_future_usage: z.enum(["off_session", "on_session", ""]).optional(),
      shipping: anything.optional(),
      expand,
    }),
    (call) => {
      const { world, input } = call;
      const intent = world.paymentIntents.get(idOf(call));
      if (input.amount !== undefined || input.currency !== undefined) assertOpen(intent, "update");
      return Object.assign(intent, {
        metadata: mergeMetadata(intent.metadata, input.metadata),
        ...(input.amount === undefined ? {} : { amount: input.amount }),
        ...(input.currency === undefined ? {} : { currency: input.currency }),
        ...(input.customer === undefined ? {} : { customer: world.customer(input.customer, "customer").id }),
        ...(input.description === undefined ? {} : { description: input.description }),
        ...(input.receipt_email === undefined ? {} : { receipt_email: input.receipt_email }),
        ...(input.setup_future_usage === undefined ? {} : { setup_future_usage: input.setup_future_usage || null }),
        ...(input.payment_method === undefined
          ? {}
          : { payment_method: world.paymentMethod(input.payment_method).id, status: "requires_confirmation" }),
      });
    },
  ),
  route("POST", "/v1/payment_intents/:id/confirm", z.strictObject(confirmFields), (call) => {
    const intent = call.world.paymentIntents.get(idOf(call));
    const method = methodOf(call.world, call.input);
    if (method !== undefined) {
      assertUsable(intent, method);
      intent.payment_method = method.id;
    }
    return confirm(call.world, intent, call.input);
  }),
  route(
    "POST",
    "/v1/payment_intents/:id/capture",
    z.strictObject({ amount_to_capture: int.optional(), metadata: metadata.optional(), expand }),
    (call) => {
      const intent = call.world.paymentIntents.get(idOf(call));
      if (intent.status !== "requires_capture") throw unexpectedState(intent, "capture");
      const amount = call.input.amount_to_capture ?? intent.amount;
      if (amount > intent.amount)
        throw invalidRequest("The amount to capture is more than was authorised.", { code: "amount_too_large" });
      return capturePayment(call.world, intent, amount);
    },
  ),
  route(
    "POST",
    "/v1/payment_intents/:id/cancel",
    z.strictObject({ cancellation_reason: text.optional(), expand }),
    (call) => cancelPayment(call.world, call.world.paymentIntents.get(idOf(call)), call.input.cancellation_reason),
  ),
  route(
    "GET",
    "/v1/payment_intents",
    z.strictObject({ ...paging, customer: text.optional(), created: range.optional() }),
    ({ world, input, path }) =>
      pageOf(
        world.paymentIntents,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) && (input.customer === undefined || row.customer === input.customer),
      ),
  ),
];

/** Currencies without cents, whose amounts are whole units (https://docs.stripe.com/currencies#zero-decimal). */
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split(" "));
const minimumOf = (code: string): number => (ZERO_DECIMAL.has(code) ? 50 : 50);
const AMOUNT_MAX = 99_999_999;

type NewIntent = Pick<CreateInput, "amount" | "currency"> & Partial<CreateInput>;

export function createPaymentIntent(world: World, input: NewIntent): PaymentIntent {
  if (input.amount < minimumOf(input.currency)) {
    throw invalidRequest("Amount must be at least $0.50 usd", { code: "amount_too_small", param: "amount" });
  }
  if (input.amount > AMOUNT_MAX) {
    throw invalidRequest("Amount must be no more than $999,999.99", { code: "amount_too_large", param: "amount" });
  }
  const customer = input.customer === undefined ? null : world.customer(input.customer, "customer").id;
  const id = world.id("pi");
  return world.paymentIntents.insert({
    id,
    object: "payment_intent",
    allowed_payment_method_types: (input.allowed_payment_method_types ??
      null) as PaymentIntent["allowed_payment_method_types"],
    amount: input.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods:
      input.payment_method_types === undefined
        ? ({ enabled: true, allow_redirects: "always", ...input.automatic_payment_methods } as NonNullable<
            PaymentIntent["automatic_payment_methods"]
          >)
        : null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: input.capture_method ?? "automatic_async",
    client_secret: `${id}_secret_${randomBase62(24)}`,
    confirmation_method: input.confirmation_method ?? "automatic",
    created: world.now(customer),
    currency: input.currency,
    customer,
    customer_account: null,
    description: input.description ?? null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: mergeMetadata(null, input.metadata),
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: { installments: null, mandate_options: null, network: null, request_three_d_secure: "automatic" },
    },
    payment_method_types: input.payment_method_types ?? ["card"],
    payment_record: null,
    processing: null,
    receipt_email: input.receipt_email ?? null,
    review: null,
    setup_future_usage: input.setup_future_usage ?? null,
    shipping: (input.shipping as PaymentIntent["shipping"]) ?? null,
    source: null,
    statement_descriptor: input.statement_descriptor ?? null,
    statement_descriptor_suffix: input.statement_descriptor_suffix ?? null,
    status: "requires_payment_method",
    transfer_data: null,
    transfer_group: input.transfer_group ?? null,
  });
}

/** @throws ApiError 402 with the intent, when the card refuses */
function confirm(world: World, intent: PaymentIntent, input: ConfirmInput): PaymentIntent {
  assertOpen(intent, "confirm");
  if (input.setup_future_usage !== undefined) intent.setup_future_usage = input.setup_future_usage;
  if (input.capture_method !== undefined) intent.capture_method = input.capture_method;
  const method = world.paymentMethods.find(intent.payment_method);
  if (method === undefined) {
    throw invalidRequest("You cannot confirm this PaymentIntent because it's missing a payment method.", {
      code: "payment_intent_unexpected_state",
    });
  }
  confirmPayment(world, intent, method, {
    isOffSession: input.off_session !== undefined && input.off_session !== false,
    returnUrl: input.return_url,
    isErrorOnAction: input.error_on_requires_action === true,
  });
  return throwIfRefused(intent);
}

export function throwIfRefused(intent: PaymentIntent): PaymentIntent {
  const error = intent.last_payment_error;
  if (intent.status === "requires_payment_method" && error !== null) {
    throw cardDeclined(error as CardError, { payment_intent: structuredClone(intent) });
  }
  return intent;
}

export function cancelPayment(world: World, intent: PaymentIntent, reason?: string): PaymentIntent {
  if (intent.status === "succeeded" || intent.status === "canceled") throw unexpectedState(intent, "cancel");
  return world.update(
    intent,
    {
      status: "canceled",
      canceled_at: world.now(intent.customer),
      cancellation_reason: (reason ?? null) as PaymentIntent["cancellation_reason"],
      amount_capturable: 0,
      next_action: null,
    },
    "payment_intent.canceled",
  );
}

function assertOpen(intent: PaymentIntent, verb: string): void {
  if (intent.status === "succeeded" || intent.status === "canceled" || intent.status === "requires_capture") {
    throw unexpectedState(intent, verb);
  }
}

const unexpectedState = (intent: PaymentIntent, verb: string) =>
  invalidRequest(`You cannot ${verb} this PaymentIntent because it has a status of ${intent.status}.`, {
    code: "payment_intent_unexpected_state",
    payment_intent: structuredClone(intent),
  });

function assertUsable(intent: PaymentIntent, method: PaymentMethod): void {
  if (method.customer !== null && method.customer !== intent.customer) {
    throw invalidRequest(
      intent.customer === null
        ? `The provided PaymentMethod is attached to another customer. You must provide the customer.`
        : `The customer does not have a payment method with the ID ${method.id}. The payment method must be attached to the customer.`,
      { param: "payment_method" },
    );
  }
}

function methodOf(world: World, input: ConfirmInput): PaymentMethod | undefined {
  if (input.payment_method !== undefined) return world.paymentMethod(input.payment_method);
  return input.payment_method_data === undefined ? undefined : createPaymentMethod(world, input.payment_method_data);
}
