import { randomBase62 } from "@tollgate/kernel";
import { z } from "zod";
import { behaviourOf } from "../cards.ts";
import { cardDeclined, invalidRequest } from "../http/apiError.ts";
import { pageOf } from "../http/pages.ts";
import {
  anything,
  bool,
  expand,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
  unsettable,
} from "../http/parameters.ts";
import type { Call } from "../http/route.ts";
import { idOf, route } from "../http/route.ts";
import { attachTo, markSetUp } from "../world/payments.ts";
import type { CardError, PaymentMethod, SetupIntent } from "../world/stored.ts";
import type { World } from "../world/world.ts";
import { createPaymentMethod, paymentMethodData } from "./paymentMethods.ts";

const confirmFields = {
  allowed_payment_method_types: z.array(text).optional(),
  payment_method: text.optional(),
  payment_method_data: paymentMethodData.optional(),
  return_url: text.optional(),
  mandate_data: anything.optional(),
  use_stripe_sdk: bool.optional(),
  client_secret: text.optional(),
  expand,
};
const createInput = z.strictObject({
  ...confirmFields,
  automatic_payment_methods: anything.optional(),
  confirm: bool.optional(),
  customer: text.optional(),
  description: text.optional(),
  metadata: metadata.optional(),
  payment_method_options: anything.optional(),
  payment_method_types: z.array(text).optional(),
  usage: z.enum(["off_session", "on_session"]).optional(),
});

export const setupIntentRoutes = [
  route("POST", "/v1/setup_intents", createInput, ({ world, input }) => {
    const intent = createSetupIntent(world, input);
    const method = methodOf(world, input);
    if (method !== undefined) Object.assign(intent, { payment_method: method.id, status: "requires_confirmation" });
    if (input.confirm === true) confirmSetup(world, intent, { returnUrl: input.return_url });
    return intent;
  }),
  route("GET", "/v1/setup_intents/:id", z.strictObject({ client_secret: text.optional(), expand }), (call) =>
    call.world.setupIntents.get(idOf(call)),
  ),
  route(
    "POST",
    "/v1/setup_intents/:id",
    z.strictObject({
      customer: text.optional(),
      description: unsettable.optional(),
      metadata: metadata.optional(),
      payment_method: text.optional(),
      payment_method_types: z.array(text).optional(),
      expand,
    }),
    (call) => {
      const intent = call.world.setupIntents.get(idOf(call));
      const { input } = call;
      return Object.assign(intent, {
        metadata: mergeMetadata(intent.metadata, input.metadata),
        ...(input.customer === undefined ? {} : { customer: call.world.customer(input.customer, "customer").id }),
        ...(input.description === undefined ? {} : { description: input.description }),
        ...(input.payment_method === undefined
          ? {}
          : { payment_method: call.world.paymentMethod(input.payment_method).id, status: "requires_confirmation" }),
      });
    },
  ),
  route("POST", "/v1/setup_intents/:id/confirm", z.strictObject(confirmFields), (call) => {
    const intent = call.world.setupIntents.get(idOf(call));
    const method = methodOf(call.world, call.input);
    if (method !== undefined) intent.payment_method = method.id;
    return confirmSetup(call.world, intent, { returnUrl: call.input.return_url });
  }),
  route(
    "POST",
    "/v1/setup_intents/:id/cancel",
    z.strictObject({ cancellation_reason: text.optional(), expand }),
    cancel,
  ),
  route(
    "GET",
    "/v1/setup_intents",
    z.strictObject({
      ...paging,
      customer: text.optional(),
      payment_method: text.optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.setupIntents,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.payment_method === undefined || row.payment_method === input.payment_method),
      ),
  ),
];

export function createSetupIntent(
  world: World,
  input: {
    customer?: string | undefined;
    description?: string | undefined;
    metadata?: z.output<typeof metadata> | undefined;
    usage?: string | undefined;
  },
): SetupIntent {
  const customer = input.customer === undefined ? null : world.customer(input.customer, "customer").id;
  const id = world.id("seti");
  const intent = world.setupIntents.insert({
    id,
    object: "setup_intent",
    allowed_payment_method_types: null,
    application: null,
    automatic_payment_methods: null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${randomBase62(24)}`,
    created: world.now(customer),
    customer,
    customer_account: null,
    description: input.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    managed_payments: null,
    mandate: null,
    metadata: mergeMetadata(null, input.metadata),
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: { card: { mandate_options: null, network: null, request_three_d_secure: "automatic" } },
    payment_method_types: ["card"],
    single_use_mandate: null,
    status: "requires_payment_method",
    usage: input.usage ?? "off_session",
  });
  world.emit("setup_intent.created", intent);
  return intent;
}

/** Saves the intent's card with its customer, asking the cardholder first where the bank wants that. @throws ApiError 402 */
export function confirmSetup(
  world: World,
  intent: SetupIntent,
  options: { readonly returnUrl?: string | undefined; readonly isAuthenticated?: boolean } = {},
): SetupIntent {
  if (intent.status === "succeeded" || intent.status === "canceled") {
    throw invalidRequest(`You cannot confirm this SetupIntent because it has a status of ${intent.status}.`, {
      code: "setup_intent_unexpected_state",
      setup_intent: structuredClone(intent),
    });
  }
  const method = world.paymentMethods.find(intent.payment_method);
  if (method === undefined) {
    throw invalidRequest("You cannot confirm this SetupIntent because it's missing a payment method.", {
      code: "setup_intent_unexpected_state",
    });
  }
  const behaviour = behaviourOf(method);
  if (behaviour.authentication !== undefined && options.isAuthenticated !== true) {
    const url = `${world.url}/authenticate/${intent.id}`;
    const next: SetupIntent["next_action"] =
      options.returnUrl === undefined
        ? { type: "use_stripe_sdk", use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: url } }
        : { type: "redirect_to_url", redirect_to_url: { url, return_url: options.returnUrl } };
    return world.update(intent, { status: "requires_action", next_action: next }, "setup_intent.requires_action");
  }
  if (behaviour.isRefusedAtAttach === true && behaviour.declines !== undefined) {
    const { code, declineCode, message } = behaviour.declines;
    return refuseSetup(world, intent, method, {
      code,
      message,
      ...(declineCode === undefined ? {} : { decline_code: declineCode }),
    });
  }
  if (intent.customer !== null) attachTo(world, method, intent.customer);
  markSetUp(world, method);
  return world.update(
    intent,
    { status: "succeeded", next_action: null, last_setup_error: null, latest_attempt: world.id("setatt") },
    "setup_intent.succeeded",
  );
}

export function refuseSetup(
  world: World,
  intent: SetupIntent,
  method: PaymentMethod,
  error: Pick<CardError, "code" | "decline_code" | "message">,
): never {
  const cardError = { type: "card_error", ...error, payment_method: structuredClone(method) } as unknown as CardError;
  Object.assign(intent, {
    status: "requires_payment_method",
    payment_method: null,
    next_action: null,
    last_setup_error: cardError,
  });
  world.emit("setup_intent.setup_failed", intent);
  throw cardDeclined(cardError, { setup_intent: structuredClone(intent) });
}

function cancel(call: Call<{ cancellation_reason?: string | undefined }>): SetupIntent {
  const intent = call.world.setupIntents.get(idOf(call));
  if (intent.status === "succeeded" || intent.status === "canceled") {
    throw invalidRequest(`You cannot cancel this SetupIntent because it has a status of ${intent.status}.`, {
      code: "setup_intent_unexpected_state",
    });
  }
  const reason = (call.input.cancellation_reason ?? null) as SetupIntent["cancellation_reason"];
  return call.world.update(
    intent,
    { status: "canceled", cancellation_reason: reason, next_action: null },
    "setup_intent.canceled",
  );
}

function methodOf(
  world: World,
  input: { payment_method?: string | undefined; payment_method_data?: z.output<typeof paymentMethodData> | undefined },
): PaymentMethod | undefined {
  if (input.payment_method !== undefined) return world.paymentMethod(input.payment_method);
  return input.payment_method_data === undefined ? undefined : createPaymentMethod(world, input.payment_method_data);
}
