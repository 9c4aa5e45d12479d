import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { innerList, pageOf, pageOfRows } from "../http/pages.ts";
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
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { completeCheckout } from "../world/checkout.ts";
import type { CheckoutLine, CheckoutSession } from "../world/stored.ts";
import type { CheckoutDetails, World } from "../world/world.ts";
import { createPrice, priceData } from "./products.ts";
import { createSetupIntent } from "./setupIntents.ts";

const lineInput = z.strictObject({
  price: text.optional(),
  price_data: priceData.optional(),
  quantity: int.optional(),
  adjustable_quantity: anything.optional(),
});
const createInput = z.strictObject({
  allow_promotion_codes: bool.optional(),
  allowed_payment_method_types: z.array(text).optional(),
  billing_address_collection: text.optional(),
  cancel_url: text.optional(),
  client_reference_id: text.optional(),
  currency: currency.optional(),
  customer: text.optional(),
  customer_creation: z.enum(["always", "if_required"]).optional(),
  customer_email: text.optional(),
  customer_update: anything.optional(),
  expires_at: int.optional(),
  invoice_creation: anything.optional(),
  line_items: z.array(lineInput).optional(),
  locale: text.optional(),
  metadata: metadata.optional(),
  mode: z.enum(["payment", "setup", "subscription"]),
  payment_intent_data: z
    .strictObject({
      capture_method: z.enum(["automatic", "automatic_async", "manual"]).optional(),
      description: text.optional(),
      metadata: metadata.optional(),
      receipt_email: text.optional(),
      setup_future_usage: z.enum(["off_session", "on_session"]).optional(),
      shipping: anything.optional(),
      statement_descriptor: text.optional(),
    })
    .optional(),
  payment_method_types: z.array(text).optional(),
  payment_method_options: anything.optional(),
  phone_number_collection: anything.optional(),
  saved_payment_method_options: anything.optional(),
  setup_intent_data: z.strictObject({ description: text.optional(), metadata: metadata.optional() }).optional(),
  submit_type: text.optional(),
  subscription_data: z.strictObject({ description: text.optional(), metadata: metadata.optional() }).optional(),
  success_url: text,
  ui_mode: text.optional(),
  expand,
});
type CreateInput = z.output<typeof createInput>;

const DAY_SECONDS = 86_400;

export const checkoutRoutes = [
  route("POST", "/v1/checkout/sessions", createInput, ({ world, input }) => createSession(world, input)),
  route("GET", "/v1/checkout/sessions/:id", z.strictObject({ expand }), (call) =>
    call.world.checkoutSessions.get(idOf(call)),
  ),
  route("POST", "/v1/checkout/sessions/:id", z.strictObject({ metadata: metadata.optional(), expand }), (call) => {
    const row = call.world.checkoutSessions.get(idOf(call));
    return Object.assign(row, { metadata: mergeMetadata(row.metadata, call.input.metadata) });
  }),
  route("POST", "/v1/checkout/sessions/:id/expire", z.strictObject({ expand }), (call) => {
    const row = call.world.checkoutSessions.get(idOf(call));
    if (row.status !== "open") {
      throw invalidRequest(
        `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${row.status}.`,
      );
    }
    return call.world.update(row, { status: "expired", url: null }, "checkout.session.expired");
  }),
  route("GET", "/v1/checkout/sessions/:id/line_items", z.strictObject(paging), (call) => {
    call.world.checkoutSessions.get(idOf(call));
    return pageOfRows(call.world.checkouts.get(idOf(call)).lines, call.input, call.path);
  }),
  route(
    "GET",
    "/v1/checkout/sessions",
    z.strictObject({
      ...paging,
      created: range.optional(),
      customer: text.optional(),
      payment_intent: text.optional(),
      subscription: text.optional(),
      status: text.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.checkoutSessions,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.payment_intent === undefined || row.payment_intent === input.payment_intent) &&
          (input.subscription === undefined || row.subscription === input.subscription) &&
          (input.status === undefined || row.status === input.status),
      ),
  ),
  // How the hosted page itself talks, which the command-line tool uses to fill one in.
  route("GET", "/v1/payment_pages/:id", z.strictObject({ expand }), (call) =>
    call.world.checkoutSessions.get(idOf(call)),
  ),
  route(
    "POST",
    "/v1/payment_pages/:id/confirm",
    z.strictObject({ payment_method: text, expected_amount: int.optional(), expand }),
    (call) => {
      const { world, input } = call;
      const session = world.checkoutSessions.get(idOf(call));
      if (input.expected_amount !== undefined && input.expected_amount !== session.amount_total) {
        throw invalidRequest("The amount has changed.", { param: "expected_amount" });
      }
      return completeCheckout(world, session, { paymentMethod: world.paymentMethod(input.payment_method) });
    },
  ),
];

function createSession(world: World, input: CreateInput): CheckoutSession {
  if (input.mode !== "setup" && (input.line_items ?? []).length === 0) {
    throw invalidRequest("Missing required param: line_items.", { code: "parameter_missing", param: "line_items" });
  }
  const customer = input.customer === undefined ? null : world.customer(input.customer, "customer").id;
  const lines = (input.line_items ?? []).map((line, index) => lineOf(world, line, index));
  const total = lines.reduce((sum, line) => sum + line.amount_total, 0);
  const id = world.id("cs_test");
  const now = world.now(customer);
  const details: CheckoutDetails = {
    id,
    lines,
    paymentData: input.payment_intent_data ?? {},
    subscriptionData: { metadata: mergeMetadata(null, input.subscription_data?.metadata) },
    setupData: input.setup_intent_data ?? {},
  };
  world.checkouts.insert(details);
  const setup =
    input.mode === "setup"
      ? createSetupIntent(world, { customer: customer ?? undefined, metadata: input.setup_intent_data?.metadata }).id
      : null;
  return world.checkoutSessions.insert({
    id,
    object: "checkout.session",
    adaptive_pricing: { enabled: false },
    after_expiration: null,
    allow_promotion_codes: input.allow_promotion_codes ?? null,
    allowed_payment_method_types: null,
    amount_subtotal: input.mode === "setup" ? null : total,
    amount_total: input.mode === "setup" ? null : total,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    cancel_url: input.cancel_url ?? null,
    client_reference_id: input.client_reference_id ?? null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: now,
    currency: input.mode === "setup" ? (input.currency ?? null) : (lines[0]?.currency ?? null),
    currency_conversion: null,
    custom_fields: [],
    custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
    customer,
    customer_account: null,
    customer_creation: input.mode === "payment" ? (input.customer_creation ?? "if_required") : null,
    customer_details: null,
    customer_email: input.customer_email ?? null,
    discounts: [],
    expires_at: input.expires_at ?? now + DAY_SECONDS,
    integration_identifier: null,
    invoice: null,
    invoice_creation: null,
    livemode: false,
    locale: null,
    managed_payments: null,
    metadata: mergeMetadata(null, input.metadata),
    mode: input.mode,
    origin_context: null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: "always",
    payment_method_configuration_details: null,
    payment_method_options: {},
    payment_method_types: input.payment_method_types ?? ["card"],
    payment_status: input.mode === "setup" ? "no_payment_required" : "unpaid",
    permissions: null,
    phone_number_collection: { enabled: false },
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: setup,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: "open",
    submit_type: null,
    subscription: null,
    success_url: input.success_url,
    total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
    ui_mode: "hosted_page",
    url: `${world.url}/c/pay/${id}`,
    wallet_options: null,
  });
}

function lineOf(world: World, line: z.output<typeof lineInput>, index: number): CheckoutLine {
  const price =
    line.price === undefined
      ? priceInPlace(world, line.price_data, index)
      : world.prices.get(line.price, `line_items[${index}][price]`);
  const quantity = line.quantity ?? 1;
  const amount = (price.unit_amount ?? 0) * quantity;
  return {
    id: world.id("li"),
    object: "item",
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: amount,
    amount_tax: 0,
    amount_total: amount,
    currency: price.currency,
    description: world.products.find(price.product)?.name ?? null,
    metadata: null,
    price,
    quantity,
  };
}

function priceInPlace(world: World, data: z.output<typeof priceData> | undefined, index: number) {
  if (data === undefined) {
    throw invalidRequest(`Missing required param: line_items[${index}][price].`, { code: "parameter_missing" });
  }
  const product =
    data.product ??
    world.products.insert({
      id: world.id("prod"),
      object: "product",
      active: false,
      created: world.now(),
      default_price: null,
      description: data.product_data?.description ?? null,
      images: [],
      livemode: false,
      marketing_features: [],
      metadata: mergeMetadata(null, data.product_data?.metadata),
      name: data.product_data?.name ?? "Product",
      package_dimensions: null,
      shippable: null,
      statement_descriptor: null,
      tax_code: null,
      tax_details: null,
      type: "service",
      unit_label: null,
      updated: world.now(),
      url: null,
    }).id;
  return createPrice(world, {
    currency: data.currency,
    unit_amount: data.unit_amount,
    recurring: data.recurring,
    product,
  });
}

export const checkoutLines = (world: World, session: CheckoutSession) =>
  innerList(world.checkouts.get(session.id).lines, `/v1/checkout/sessions/${session.id}/line_items`);
