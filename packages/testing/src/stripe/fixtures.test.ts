import { readFileSync } from "node:fs";
import type Stripe from "stripe";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StripeStandIn } from "./index.ts";
import { libraryFor, startStripeStandIn } from "./index.ts";

/** One example of each resource, from Stripe's published OpenAPI description (github.com/stripe/openapi, MIT). */
const FIXTURES: Readonly<Record<string, Json>> = JSON.parse(
  readFileSync(new URL("./vectors/stripeFixtures.json", import.meta.url), "utf8"),
);
type Json = Readonly<Record<string, unknown>>;

/** Fields that an answer has only when they are asked for, or when they apply; and one that Stripe has taken away since. */
const NOT_ALWAYS: Readonly<Record<string, readonly string[]>> = {
  charge: ["refunds"],
  credit_note_line_item: ["invoice_line_item"],
  invoice: ["subscription"],
};

let standIn: StripeStandIn;
const answers = new Map<string, Json>();

/** Asks as any program would, without the library, which changes what it reads. */
async function raw(path: string): Promise<Json> {
  const answer = await fetch(`${standIn.url}/v1/${path}`, {
    headers: { authorization: `Bearer ${standIn.secretKey}` },
  });
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as Json;
}

const rowsOf = (list: unknown): Json[] => (list as { data: Json[] }).data;

beforeAll(async () => {
  standIn = await startStripeStandIn();
  const stripe = libraryFor(standIn);
  const customer = await stripe.customers.create({ email: "ada@example.com" });
  const method = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
  await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
  const setup = await stripe.setupIntents.create({ customer: customer.id });
  const disputed = await stripe.paymentIntents.create({
    amount: 2_000,
    currency: "usd",
    payment_method: "pm_card_createDispute",
    confirm: true,
  });
  const intent = await stripe.paymentIntents.create({
    amount: 2_000,
    currency: "usd",
    customer: customer.id,
    payment_method: method.id,
    confirm: true,
  });
  const refund = await stripe.refunds.create({ payment_intent: intent.id, amount: 100 });
  const product = await stripe.products.create({ name: "Pro" });
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2_000,
    recurring: { interval: "month" },
  });
  const plan = await stripe.plans.create({ amount: 100, currency: "usd", interval: "month", product: product.id });
  const subscription = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
  const invoice = String(subscription.latest_invoice);
  const item = await stripe.invoiceItems.create({ customer: customer.id, amount: 100, currency: "usd" });
  const note = await stripe.creditNotes.create({ invoice, amount: 100, refund_amount: 100 });
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: price.id, quantity: 1 }],
    success_url: "http://127.0.0.1/done",
  });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: 1_800_000_000 });
  const endpoint = await stripe.webhookEndpoints.create({ url: "http://127.0.0.1:9/hook", enabled_events: ["*"] });
  const portal = await stripe.billingPortal.sessions.create({ customer: customer.id, return_url: "http://127.0.0.1/" });

  const charge = await raw(`charges/${intent.latest_charge as string}`);
  const answered = await raw(`invoices/${invoice}`);
  const paths: Readonly<Record<string, string>> = {
    customer: `customers/${customer.id}`,
    payment_method: `payment_methods/${method.id}`,
    setup_intent: `setup_intents/${setup.id}`,
    payment_intent: `payment_intents/${intent.id}`,
    refund: `refunds/${refund.id}`,
    product: `products/${product.id}`,
    price: `prices/${price.id}`,
    plan: `plans/${plan.id}`,
    subscription: `subscriptions/${subscription.id}`,
    invoiceitem: `invoiceitems/${item.id}`,
    credit_note: `credit_notes/${note.id}`,
    "checkout.session": `checkout/sessions/${session.id}`,
    balance_transaction: `balance_transactions/${String(charge["balance_transaction"])}`,
    "test_helpers.test_clock": `test_helpers/test_clocks/${clock.id}`,
    webhook_endpoint: `webhook_endpoints/${endpoint.id}`,
  };
  for (const [kind, path] of Object.entries(paths)) answers.set(kind, await raw(path));
  const first = (kind: string, rows: Json[]): void => {
    if (rows[0] !== undefined) answers.set(kind, rows[0]);
  };
  answers.set("charge", charge);
  answers.set("invoice", answered);
  first("line_item", rowsOf(answered["lines"]));
  first("subscription_item", rowsOf(answers.get("subscription")?.["items"]));
  first("credit_note_line_item", rowsOf(answers.get("credit_note")?.["lines"]));
  first("invoice_payment", rowsOf(await raw(`invoice_payments?invoice=${invoice}`)));
  first("dispute", rowsOf(await raw(`disputes?payment_intent=${disputed.id}`)));
  first("event", rowsOf(await raw("events?type=payment_intent.succeeded")));
  first("item", rowsOf(await raw(`checkout/sessions/${session.id}/line_items`)));
  answers.set("billing_portal.session", portal as unknown as Json);
});
afterAll(() => standIn.stop());

const kindOf = (value: unknown): string => (Array.isArray(value) ? "list" : value === null ? "null" : typeof value);

/** What is missing from an answer or of another type. Null says nothing of a type, on either side. */
function differences(fixture: Json, answer: Json, path: string, optional: readonly string[] = []): string[] {
  return Object.entries(fixture).flatMap(([name, expected]) => {
    const at = `${path}.${name}`;
    if (!(name in answer)) return optional.includes(name) ? [] : [`${at} is missing`];
    const given = answer[name];
    if (expected === null || given === null) return [];
    if (kindOf(expected) !== kindOf(given)) return [`${at} is ${kindOf(given)}, not ${kindOf(expected)}`];
    const isList = typeof expected === "object" && "object" in expected && expected.object === "list";
    return isList
      ? differences({ object: 1, data: 1, has_more: 1, url: 1 }, given as Json, at).filter((one) =>
          one.endsWith("missing"),
        )
      : [];
  });
}

it.each(Object.keys(FIXTURES))("a %s has every field of Stripe's own example, with its type", (kind) => {
  const answer = answers.get(kind);
  expect(answer, `the stand-in gave no ${kind}`).toBeDefined();
  expect(differences(FIXTURES[kind] ?? {}, answer ?? {}, kind, NOT_ALWAYS[kind])).toEqual([]);
  expect(answer?.["object"]).toBe(kind);
});

it("the library reads what the stand-in writes: decimals become numbers that can be counted with", async () => {
  const stripe = libraryFor(standIn);
  const [price] = (await stripe.prices.list({ type: "recurring" })).data as Stripe.Price[];
  expect(price?.unit_amount_decimal?.toString()).toBe(String(price?.unit_amount));
});
