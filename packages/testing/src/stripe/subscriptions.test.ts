import { TestClock } from "@tollgate/kernel";
import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StripeStandIn } from "./index.ts";
import { libraryFor, startStripeStandIn } from "./index.ts";

let standIn: StripeStandIn;
let stripe: Stripe;
const clock = new TestClock("2026-01-31T10:00:00Z");
let small: Stripe.Price;
let large: Stripe.Price;
let yearly: Stripe.Price;

beforeAll(async () => {
  standIn = await startStripeStandIn({ clock });
  stripe = libraryFor(standIn);
  const product = await stripe.products.create({ name: "Pro" });
  const price = (unit_amount: number, interval: "month" | "year") =>
    stripe.prices.create({ product: product.id, currency: "usd", unit_amount, recurring: { interval } });
  [small, large, yearly] = [await price(2_000, "month"), await price(10_000, "month"), await price(100_000, "year")];
});
afterAll(() => standIn.stop());

async function customerWith(card: string | undefined, testClock?: string): Promise<Stripe.Customer> {
  const customer = await stripe.customers.create(testClock === undefined ? {} : { test_clock: testClock });
  if (card === undefined) return customer;
  const method = await stripe.paymentMethods.attach(card, { customer: customer.id });
  return stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: method.id } });
}

const subscribe = (customer: string, price: Stripe.Price, options: Partial<Stripe.SubscriptionCreateParams> = {}) =>
  stripe.subscriptions.create({
    customer,
    items: [{ price: price.id }],
    expand: ["latest_invoice.confirmation_secret", "latest_invoice.payments"],
    ...options,
  });
const invoiceOf = (subscription: Stripe.Subscription): Stripe.Invoice => subscription.latest_invoice as Stripe.Invoice;
const itemOf = (subscription: Stripe.Subscription): Stripe.SubscriptionItem => {
  const [item] = subscription.items.data;
  if (item === undefined) throw new Error("The subscription has no item");
  return item;
};
const seconds = (iso: string): number => Date.parse(iso) / 1_000;

describe("a subscription", () => {
  it("begins with a paid invoice, and its item has the period", async () => {
    const customer = await customerWith("pm_card_visa");
    const subscription = await subscribe(customer.id, small);
    expect(subscription.status).toBe("active");
    expect(itemOf(subscription).current_period_end).toBe(seconds("2026-02-28T10:00:00Z"));
    expect(invoiceOf(subscription)).toMatchObject({
      status: "paid",
      amount_paid: 2_000,
      billing_reason: "subscription_create",
      parent: { subscription_details: { subscription: subscription.id } },
    });
    expect(itemOf(subscription).price.unit_amount_decimal?.toString()).toBe("2000");
  });

  it("is incomplete until the holder has confirmed, and then it is active", async () => {
    const customer = await customerWith("pm_card_threeDSecure2Required");
    const subscription = await subscribe(customer.id, small);
    expect(subscription.status).toBe("incomplete");
    const secret = invoiceOf(subscription).confirmation_secret?.client_secret ?? "";
    const intentId = secret.split("_secret_")[0] ?? "";
    expect(String(invoiceOf(subscription).payments?.data[0]?.payment.payment_intent)).toBe(intentId);
    standIn.authenticate(intentId);
    expect((await stripe.subscriptions.retrieve(subscription.id)).status).toBe("active");
  });

  it("that nobody pays within 23 hours is over, and its invoice is void", async () => {
    const customer = await customerWith(undefined);
    const subscription = await subscribe(customer.id, small, { payment_behavior: "default_incomplete" });
    expect(subscription.status).toBe("incomplete");
    clock.advanceMs(24 * 3_600_000);
    const after = await stripe.subscriptions.retrieve(subscription.id, { expand: ["latest_invoice"] });
    expect(after.status).toBe("incomplete_expired");
    expect(invoiceOf(after).status).toBe("void");
  });

  it("that would not be paid is refused without a trace, where that is asked for", async () => {
    const customer = await customerWith("pm_card_chargeCustomerFail");
    await expect(subscribe(customer.id, small, { payment_behavior: "error_if_incomplete" })).rejects.toMatchObject({
      statusCode: 402,
    });
    expect((await stripe.subscriptions.list({ customer: customer.id, status: "all" })).data).toEqual([]);
  });

  it("costs the difference for the rest of the period when it changes, as the preview says", async () => {
    const testClock = await stripe.testHelpers.testClocks.create({ frozen_time: seconds("2026-03-01T00:00:00Z") });
    const customer = await customerWith("pm_card_visa", testClock.id);
    const subscription = await subscribe(customer.id, small);
    await stripe.testHelpers.testClocks.advance(testClock.id, { frozen_time: seconds("2026-03-16T12:00:00Z") });
    const items = [{ id: itemOf(subscription).id, price: large.id }];
    const preview = await stripe.invoices.createPreview({
      subscription: subscription.id,
      subscription_details: { items, proration_behavior: "always_invoice" },
    });
    // 15.5 of 31 days are left.
    expect(preview.lines.data.map((line) => line.amount)).toEqual([-1_000, 5_000]);
    const changed = await stripe.subscriptions.update(subscription.id, {
      items,
      proration_behavior: "always_invoice",
      expand: ["latest_invoice"],
    });
    expect(invoiceOf(changed)).toMatchObject({ status: "paid", amount_paid: preview.amount_due, total: 4_000 });
    expect(itemOf(changed).current_period_end).toBe(itemOf(subscription).current_period_end);
    const back = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: itemOf(changed).id, price: small.id }],
      proration_behavior: "always_invoice",
      expand: ["latest_invoice"],
    });
    expect(invoiceOf(back)).toMatchObject({ total: -4_000, amount_due: 0, ending_balance: -4_000 });
  });

  it("changes at once where it would be paid, and not at all where it would not, when that is asked for", async () => {
    const customer = await customerWith("pm_card_visa");
    const subscription = await subscribe(customer.id, small);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: customer.id });
    const change = (extra: Stripe.SubscriptionUpdateParams) =>
      stripe.subscriptions.update(subscription.id, {
        items: [{ id: itemOf(subscription).id, price: large.id }],
        proration_behavior: "always_invoice",
        payment_behavior: "error_if_incomplete",
        ...extra,
      });
    await expect(change({ default_payment_method: bad.id })).rejects.toMatchObject({ statusCode: 402 });
    const unchanged = await stripe.subscriptions.retrieve(subscription.id);
    expect([itemOf(unchanged).price.id, unchanged.default_payment_method]).toEqual([small.id, null]);
    expect(itemOf(await change({})).price.id).toBe(large.id);
    expect(itemOf(await stripe.subscriptions.retrieve(subscription.id)).price.id).toBe(large.id);
  });

  it("of another interval begins a period of its own", async () => {
    const customer = await customerWith("pm_card_visa");
    const subscription = await subscribe(customer.id, small);
    const changed = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: itemOf(subscription).id, price: yearly.id }],
      expand: ["latest_invoice"],
    });
    expect(invoiceOf(changed).total).toBe(98_000);
    expect(itemOf(changed).current_period_end - itemOf(changed).current_period_start).toBe(365 * 86_400);
  });

  it("waits for its payment before it changes, where that is asked for", async () => {
    const customer = await customerWith("pm_card_visa");
    const subscription = await subscribe(customer.id, small);
    const asking = await stripe.paymentMethods.attach("pm_card_threeDSecure2Required", { customer: customer.id });
    const held = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: itemOf(subscription).id, price: large.id }],
      proration_behavior: "always_invoice",
      payment_behavior: "pending_if_incomplete",
      expand: ["latest_invoice.payments"],
    });
    expect(held.pending_update).toBeNull();
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: asking.id } });
    const waiting = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: itemOf(subscription).id, price: yearly.id }],
      payment_behavior: "pending_if_incomplete",
      expand: ["latest_invoice.payments"],
    });
    expect(itemOf(waiting).price.id).toBe(large.id);
    standIn.authenticate(String(invoiceOf(waiting).payments?.data[0]?.payment.payment_intent));
    const after = await stripe.subscriptions.retrieve(subscription.id);
    expect(after.pending_update).toBeNull();
    expect(itemOf(after).price.id).toBe(yearly.id);
  });

  it("renews on the day of its anchor, which comes back after short months", async () => {
    const testClock = await stripe.testHelpers.testClocks.create({ frozen_time: seconds("2026-01-31T10:00:00Z") });
    const customer = await customerWith("pm_card_visa", testClock.id);
    const subscription = await subscribe(customer.id, small);
    await stripe.testHelpers.testClocks.advance(testClock.id, { frozen_time: seconds("2026-05-01T00:00:00Z") });
    const invoices = (await stripe.invoices.list({ subscription: subscription.id })).data.reverse();
    expect(
      invoices.map((invoice) => new Date((invoice.lines.data[0]?.period.end ?? 0) * 1_000).toISOString().slice(0, 10)),
    ).toEqual(["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]);
    expect(invoices.map((invoice) => invoice.status)).toEqual(["paid", "paid", "paid", "paid"]);
    expect(invoices.map((invoice) => invoice.number?.slice(-4))).toEqual(["0001", "0002", "0003", "0004"]);
  });

  it("whose card fails is tried again after 3, 5 and 7 days and then ends", async () => {
    const testClock = await stripe.testHelpers.testClocks.create({ frozen_time: seconds("2026-01-01T00:00:00Z") });
    const customer = await customerWith("pm_card_visa", testClock.id);
    const subscription = await subscribe(customer.id, small);
    const bad = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: bad.id } });
    const at = async (iso: string) => {
      await stripe.testHelpers.testClocks.advance(testClock.id, { frozen_time: seconds(iso) });
      return stripe.subscriptions.retrieve(subscription.id, { expand: ["latest_invoice"] });
    };
    const first = await at("2026-02-01T02:00:00Z");
    expect(first.status).toBe("past_due");
    expect(invoiceOf(first)).toMatchObject({ attempt_count: 1, next_payment_attempt: seconds("2026-02-04T01:00:00Z") });
    expect(invoiceOf(await at("2026-02-05T00:00:00Z")).attempt_count).toBe(2);
    expect(invoiceOf(await at("2026-02-10T00:00:00Z")).attempt_count).toBe(3);
    expect((await at("2026-02-17T00:00:00Z")).status).toBe("canceled");
  });

  it("that is to end at the period's end does, and may be kept until then", async () => {
    const customer = await customerWith("pm_card_visa");
    const subscription = await subscribe(customer.id, small);
    const ending = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    expect(ending.cancel_at).toBe(itemOf(subscription).current_period_end);
    const kept = await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: false });
    expect(kept.cancel_at).toBeNull();
    await stripe.subscriptions.update(subscription.id, { cancel_at_period_end: true });
    clock.set(new Date(itemOf(subscription).current_period_end * 1_000));
    expect((await stripe.subscriptions.retrieve(subscription.id)).status).toBe("canceled");
  });
});

describe("an invoice", () => {
  it("takes what waits, is paid by the customer's card, and has a number", async () => {
    const customer = await customerWith("pm_card_visa");
    await stripe.invoiceItems.create({ customer: customer.id, amount: 1_250, currency: "usd", description: "Overage" });
    const draft = await stripe.invoices.create({ customer: customer.id, pending_invoice_items_behavior: "include" });
    expect(draft).toMatchObject({ status: "draft", number: null, total: 1_250 });
    const paid = await stripe.invoices.pay(draft.id ?? "");
    expect(paid).toMatchObject({ status: "paid", amount_paid: 1_250, amount_remaining: 0 });
    await expect(stripe.invoices.pay(draft.id ?? "")).rejects.toMatchObject({ code: "invoice_already_paid" });
  });

  it("that is void is not paid any more, and a credit note takes a paid one back", async () => {
    const customer = await customerWith("pm_card_visa");
    const bill = async (amount: number) => {
      const invoice = await stripe.invoices.create({ customer: customer.id });
      await stripe.invoiceItems.create({ customer: customer.id, amount, currency: "usd", invoice: invoice.id ?? "" });
      return stripe.invoices.finalizeInvoice(invoice.id ?? "");
    };
    const wrong = await bill(3_000);
    expect((await stripe.invoices.voidInvoice(wrong.id ?? "")).status).toBe("void");
    await expect(stripe.invoices.pay(wrong.id ?? "")).rejects.toMatchObject({ statusCode: 400 });
    const right = await stripe.invoices.pay((await bill(4_000)).id ?? "");
    const note = await stripe.creditNotes.create({ invoice: right.id ?? "", amount: 1_500, refund_amount: 1_500 });
    expect(note).toMatchObject({ type: "post_payment", total: 1_500 });
    expect((await stripe.invoices.retrieve(right.id ?? "")).post_payment_credit_notes_amount).toBe(1_500);
  });
});
