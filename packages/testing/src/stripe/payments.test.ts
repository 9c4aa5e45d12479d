import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StripeStandIn } from "./index.ts";
import { libraryFor, startStripeStandIn } from "./index.ts";

let standIn: StripeStandIn;
let stripe: Stripe;

beforeAll(async () => {
  standIn = await startStripeStandIn();
  stripe = libraryFor(standIn);
});
afterAll(() => standIn.stop());

const newCustomer = () => stripe.customers.create({ email: "ada@example.com", metadata: { account: "ba_1" } });

async function withCard(card = "pm_card_visa"): Promise<{ customer: Stripe.Customer; method: Stripe.PaymentMethod }> {
  const customer = await newCustomer();
  return { customer, method: await stripe.paymentMethods.attach(card, { customer: customer.id }) };
}

const pay = (customer: string, method: string, options: Partial<Stripe.PaymentIntentCreateParams> = {}) =>
  stripe.paymentIntents.create({
    amount: 2_000,
    currency: "usd",
    customer,
    payment_method: method,
    confirm: true,
    off_session: true,
    ...options,
  });

const refusalOf = (promise: Promise<unknown>): Promise<Stripe.errors.StripeError> =>
  promise.then(
    () => {
      throw new Error("It was not refused");
    },
    (error: Stripe.errors.StripeError) => error,
  );

describe("payments", () => {
  it("a good card pays at once, and the money is on the account less Stripe's fee", async () => {
    const { customer, method } = await withCard();
    const intent = await pay(customer.id, method.id, {
      expand: ["latest_charge.balance_transaction"],
      metadata: { a: "1" },
    });
    expect(intent.status).toBe("succeeded");
    expect(intent.amount_received).toBe(2_000);
    const charge = intent.latest_charge as Stripe.Charge;
    expect(charge.metadata).toEqual({ a: "1" });
    expect(charge.balance_transaction as Stripe.BalanceTransaction).toMatchObject({
      amount: 2_000,
      fee: 88,
      net: 1_912,
    });
  });

  it.each([
    ["pm_card_chargeCustomerFail", "card_declined", "generic_decline"],
    ["pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card", ""],
  ])("%s is refused with 402, and the intent asks for another card", async (card, code, declineCode) => {
    const customer = await newCustomer();
    const refusal = await refusalOf(pay(customer.id, card, { off_session: false }));
    expect(refusal).toBeInstanceOf(Stripe.errors.StripeCardError);
    expect(refusal).toMatchObject({ statusCode: 402, code, decline_code: declineCode });
    const intent = await stripe.paymentIntents.retrieve(refusal.payment_intent?.id ?? "");
    expect(intent).toMatchObject({ status: "requires_payment_method", last_payment_error: { code } });
  });

  it("a card that asks its holder waits for the answer, and without the holder there is nobody to ask", async () => {
    const { customer, method } = await withCard("pm_card_threeDSecure2Required");
    const intent = await pay(customer.id, method.id, { off_session: false, return_url: "http://127.0.0.1/back" });
    expect(intent).toMatchObject({ status: "requires_action", next_action: { type: "redirect_to_url" } });
    const page = await fetch(intent.next_action?.redirect_to_url?.url ?? "", {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams({ answer: "succeed" }),
    });
    expect(page.headers.get("location")).toBe("http://127.0.0.1/back");
    expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe("succeeded");
    expect(await refusalOf(pay(customer.id, method.id))).toMatchObject({ code: "authentication_required" });
  });

  it("a holder who refuses leaves nothing paid", async () => {
    const { customer, method } = await withCard("pm_card_threeDSecure2Required");
    const intent = await pay(customer.id, method.id, { off_session: false });
    standIn.authenticate(intent.id, "fail");
    expect((await stripe.paymentIntents.retrieve(intent.id)).status).toBe("requires_payment_method");
  });

  it("a card that was set up with its holder's consent pays without asking again", async () => {
    const customer = await newCustomer();
    const setup = await stripe.setupIntents.create({
      customer: customer.id,
      payment_method: "pm_card_authenticationRequiredOnSetup",
      confirm: true,
    });
    expect(setup.status).toBe("requires_action");
    standIn.authenticate(setup.id);
    const done = await stripe.setupIntents.retrieve(setup.id);
    expect(done.status).toBe("succeeded");
    expect((await pay(customer.id, String(done.payment_method))).status).toBe("succeeded");
  });

  it("a card of another customer cannot be charged", async () => {
    const { method } = await withCard();
    const stranger = await newCustomer();
    expect(await refusalOf(pay(stranger.id, method.id))).toMatchObject({ statusCode: 400, param: "payment_method" });
  });

  it("what is held for a capture is taken by the capture alone", async () => {
    const { customer, method } = await withCard();
    const held = await pay(customer.id, method.id, { capture_method: "manual" });
    expect(held).toMatchObject({ status: "requires_capture", amount_received: 0, amount_capturable: 2_000 });
    const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 1_500 });
    expect(taken).toMatchObject({ status: "succeeded", amount_received: 1_500 });
  });

  it("a browser confirms with the publishable key and the client secret, and with nothing less", async () => {
    const { customer, method } = await withCard();
    const intent = await stripe.paymentIntents.create({ amount: 700, currency: "usd", customer: customer.id });
    const confirm = (secret: string) =>
      fetch(`${standIn.url}/v1/payment_intents/${intent.id}/confirm`, {
        method: "POST",
        headers: { authorization: `Bearer ${standIn.publishableKey}` },
        body: new URLSearchParams({ client_secret: secret, payment_method: method.id }),
      });
    expect((await confirm("wrong")).status).toBe(400);
    expect((await confirm(intent.client_secret ?? "")).status).toBe(200);
    const list = await fetch(`${standIn.url}/v1/customers`, {
      headers: { authorization: `Bearer ${standIn.publishableKey}` },
    });
    expect(list.status).toBe(401);
  });
});

describe("money back", () => {
  it("refunds add up to the charge and no further", async () => {
    const { customer, method } = await withCard();
    const intent = await pay(customer.id, method.id);
    await stripe.refunds.create({ payment_intent: intent.id, amount: 500 });
    await stripe.refunds.create({ payment_intent: intent.id });
    const charge = await stripe.charges.retrieve(String(intent.latest_charge), { expand: ["refunds"] });
    expect(charge).toMatchObject({ amount_refunded: 2_000, refunded: true });
    expect(charge.refunds?.data.map((refund) => refund.amount)).toEqual([1_500, 500]);
    expect(await refusalOf(stripe.refunds.create({ payment_intent: intent.id }))).toMatchObject({
      code: "charge_already_refunded",
    });
  });

  it("a dispute takes the money and its fee, and gives the money back when it is won", async () => {
    const { customer, method } = await withCard("pm_card_createDispute");
    const intent = await pay(customer.id, method.id);
    const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id })).data;
    expect(dispute).toMatchObject({ status: "needs_response", amount: 2_000 });
    expect(await refusalOf(stripe.refunds.create({ payment_intent: intent.id }))).toMatchObject({
      code: "charge_disputed",
    });
    standIn.closeDispute(dispute?.id ?? "", "won");
    const closed = await stripe.disputes.retrieve(dispute?.id ?? "");
    expect(closed.status).toBe("won");
    expect(closed.balance_transactions.map((row) => row.amount)).toEqual([-2_000, 2_000]);
  });
});

describe("the way Stripe talks", () => {
  it("the same idempotency key answers the same, and another request under it is an error", async () => {
    const { customer, method } = await withCard();
    const params = { amount: 900, currency: "usd", customer: customer.id, payment_method: method.id, confirm: true };
    const [first, second] = await Promise.all([
      stripe.paymentIntents.create(params, { idempotencyKey: "key-1" }),
      stripe.paymentIntents.create(params, { idempotencyKey: "key-1" }),
    ]);
    expect(second.id).toBe(first.id);
    const other = await refusalOf(
      stripe.paymentIntents.create({ ...params, amount: 901 }, { idempotencyKey: "key-1" }),
    );
    expect(other).toMatchObject({ type: "StripeIdempotencyError", statusCode: 400 });
  });

  it("a request whose answer was lost is asked again and happens once", async () => {
    const { customer, method } = await withCard();
    standIn.failNext({ kind: "cutAfter", on: /POST \/v1\/payment_intents$/ });
    const intent = await pay(customer.id, method.id);
    const all = await stripe.paymentIntents.list({ customer: customer.id });
    expect(all.data.map(({ id }) => id)).toEqual([intent.id]);
  });

  it("a key in flight is a conflict", async () => {
    const once = libraryFor(standIn);
    standIn.failNext({ kind: "error", on: /never/ });
    standIn.slowDown(300);
    const call = () => once.customers.create({}, { idempotencyKey: "key-2", maxNetworkRetries: 0 });
    const outcomes = await Promise.allSettled([call(), call()]);
    standIn.clearFaults();
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const rejected = outcomes.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    expect(rejected.reason).toMatchObject({ statusCode: 409, code: "idempotency_key_in_use" });
  });

  it("lists are paged both ways without losing or repeating a row", async () => {
    const customer = await newCustomer();
    for (let index = 0; index < 7; index += 1) {
      await stripe.paymentIntents.create({ amount: 100 + index, currency: "usd", customer: customer.id });
    }
    const seen: number[] = [];
    for await (const intent of stripe.paymentIntents.list({ customer: customer.id, limit: 3 }))
      seen.push(intent.amount);
    expect(seen).toEqual([106, 105, 104, 103, 102, 101, 100]);
    const page = await stripe.paymentIntents.list({ customer: customer.id, limit: 3 });
    const last = await stripe.paymentIntents.list({
      customer: customer.id,
      limit: 2,
      starting_after: page.data[2]?.id ?? "",
    });
    const back = await stripe.paymentIntents.list({
      customer: customer.id,
      ending_before: last.data[1]?.id ?? "",
      limit: 2,
    });
    expect(back.data.map(({ amount }) => amount)).toEqual([104, 103].map((amount) => amount));
    expect(back.has_more).toBe(true);
  });

  it("unknown and missing parameters are named, and unknown ids are 404", async () => {
    const typo = await fetch(`${standIn.url}/v1/customers`, {
      method: "POST",
      headers: { authorization: `Bearer ${standIn.secretKey}` },
      body: new URLSearchParams({ "adress[city]": "London" }),
    });
    expect(typo.status).toBe(400);
    expect(await typo.json()).toMatchObject({ error: { code: "parameter_unknown", param: "adress" } });
    const missing = await refusalOf(
      stripe.paymentIntents.create({ currency: "usd" } as Stripe.PaymentIntentCreateParams),
    );
    expect(missing).toMatchObject({ code: "parameter_missing", param: "amount" });
    expect(await refusalOf(stripe.customers.retrieve("cus_nobody"))).toMatchObject({
      statusCode: 404,
      code: "resource_missing",
    });
    expect(await refusalOf(libraryFor(standIn, "sk_test_wrong").customers.list())).toMatchObject({ statusCode: 401 });
  });
});
