import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StripeStandIn } from "./index.ts";
import { libraryFor, startStripeStandIn } from "./index.ts";

let standIn: StripeStandIn;
let stripe: Stripe;
let server: Server;
let received: { event: Stripe.Event; signature: string; body: string }[];
/** What the receiver answers next; 200 when there is nothing more to say. */
let statuses: number[];

beforeEach(async () => {
  received = [];
  statuses = [];
  server = createServer(async (request, response) => {
    const body = await text(request);
    received.push({ event: JSON.parse(body), body, signature: String(request.headers["stripe-signature"]) });
    response.writeHead(statuses.shift() ?? 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  standIn = await startStripeStandIn({ webhook: { url: `http://127.0.0.1:${port}/hook` } });
  stripe = libraryFor(standIn);
});
afterEach(async () => {
  await standIn.stop();
  server.close();
});

const pay = () =>
  stripe.paymentIntents.create({ amount: 2_000, currency: "usd", payment_method: "pm_card_visa", confirm: true });
const types = (): string[] => received.map(({ event }) => event.type);

describe("webhooks", () => {
  it("are signed so that the library believes them, and nothing else", async () => {
    await pay();
    await standIn.deliveries.settled();
    expect(types()).toEqual(["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]);
    const [first] = received;
    if (first === undefined) throw new Error("Nothing was received");
    const event = stripe.webhooks.constructEvent(first.body, first.signature, standIn.webhookSecret);
    expect(event.api_version).toBe("2026-10-28.endive");
    expect(() => stripe.webhooks.constructEvent(`${first.body} `, first.signature, standIn.webhookSecret)).toThrow();
    expect(() => stripe.webhooks.constructEvent(first.body, first.signature, "whsec_other")).toThrow();
  });

  it("come again until they are taken", async () => {
    statuses = [500, 503];
    await stripe.customers.create({});
    await standIn.deliveries.settled();
    expect(types()).toEqual(["customer.created", "customer.created", "customer.created"]);
    expect(standIn.deliveries.attempts.map(({ status }) => status)).toEqual([500, 503, 200]);
  });

  it("come more than once and in any order, where a test wants that", async () => {
    standIn.deliveries.plan({ copies: 3, isShuffled: true });
    await pay();
    await standIn.deliveries.settled();
    expect(new Set(received.map(({ event }) => event.id)).size).toBe(3);
    expect(received).toHaveLength(9);
  });

  it("are held back and delivered by hand, where a test wants that", async () => {
    standIn.deliveries.plan({ isHeld: true });
    await pay();
    expect(received).toEqual([]);
    const [first] = standIn.deliveries.held;
    if (first === undefined) throw new Error("Nothing is held");
    await standIn.deliveries.deliver(first);
    expect(types()).toEqual(["payment_intent.created"]);
    standIn.deliveries.release();
    await standIn.deliveries.settled();
    expect(types()).toHaveLength(4);
  });

  it("go to an endpoint only if it asked for them", async () => {
    const [endpoint] = (await stripe.webhookEndpoints.list()).data;
    await stripe.webhookEndpoints.update(endpoint?.id ?? "", { enabled_events: ["charge.succeeded"] });
    await pay();
    await standIn.deliveries.settled();
    expect(types()).toEqual(["charge.succeeded"]);
  });
});

describe("the hosted checkout", () => {
  it("is paid by a browser that fills the form in, and refuses a bad card first", async () => {
    const session = await stripe.checkout.sessions.create({
      mode: "payment",
      customer: (await stripe.customers.create({})).id,
      line_items: [
        { price_data: { currency: "usd", unit_amount: 2_500, product_data: { name: "Credit" } }, quantity: 1 },
      ],
      payment_intent_data: { metadata: { account: "ba_1" }, setup_future_usage: "off_session" },
      success_url: "http://127.0.0.1/done?session={CHECKOUT_SESSION_ID}",
    });
    const submit = (card: string) =>
      fetch(session.url ?? "", { method: "POST", redirect: "manual", body: new URLSearchParams({ card }) });
    expect(await (await fetch(session.url ?? "")).text()).toContain("Pay 25.00 USD");
    expect((await submit("pm_card_chargeCustomerFail")).status).toBe(402);
    const done = await submit("pm_card_visa");
    expect(done.headers.get("location")).toBe(`http://127.0.0.1/done?session=${session.id}`);
    const after = await stripe.checkout.sessions.retrieve(session.id, { expand: ["payment_intent"] });
    expect(after).toMatchObject({ status: "complete", payment_status: "paid" });
    expect((after.payment_intent as Stripe.PaymentIntent).metadata).toEqual({ account: "ba_1" });
    const cards = await stripe.customers.listPaymentMethods(String(after.customer));
    expect(cards.data).toHaveLength(1);
    await standIn.deliveries.settled();
    expect(types().at(-1)).toBe("checkout.session.completed");
  });

  it("saves a card without a payment, after asking the cardholder", async () => {
    const customer = await stripe.customers.create({});
    const session = await stripe.checkout.sessions.create({
      mode: "setup",
      currency: "usd",
      customer: customer.id,
      success_url: "http://127.0.0.1/done",
    });
    expect(standIn.completeCheckout(session.id, { card: "pm_card_threeDSecure2Required" }).status).toBe("open");
    expect(standIn.completeCheckout(session.id, { card: "pm_card_visa" }).status).toBe("complete");
    const after = await stripe.checkout.sessions.retrieve(session.id, { expand: ["setup_intent"] });
    expect(after.setup_intent).toMatchObject({ status: "succeeded", customer: customer.id });
  });

  it("is over when it has expired", async () => {
    const session = await stripe.checkout.sessions.create({
      mode: "setup",
      currency: "usd",
      success_url: "http://127.0.0.1/done",
    });
    expect((await stripe.checkout.sessions.expire(session.id)).status).toBe("expired");
    expect(() => standIn.completeCheckout(session.id)).toThrow("expired");
  });
});
