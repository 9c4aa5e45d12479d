import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "../../test/stripeFixture.ts";
import { createStripeFixture } from "../../test/stripeFixture.ts";
import { decrementBalance, listAdjustments, readBalance } from "../balance/index.ts";
import { checkBooks } from "../checks/index.ts";
import { NO_BILLING_PORT } from "./billingPort.ts";
import {
  chargeCard,
  createCheckoutSession,
  deleteCard,
  erasePayments,
  getPayment,
  listCards,
  listPayments,
  openPortal,
  reconcilePayments,
  refundPayment,
  setAutoTopUp,
  setDefaultCard,
  setupCard,
  sweepPayments,
  topUpAccount,
} from "./index.ts";
import { syncCards } from "./sync/syncCards.ts";
import { syncCheckout } from "./sync/syncCheckout.ts";
import { syncDispute } from "./sync/syncDispute.ts";
import { syncPayment } from "./sync/syncPayment.ts";
import { syncRefunds } from "./sync/syncRefunds.ts";

let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
});
afterAll(async () => {
  await fixture?.close();
});

let keys = 0;
const nextKey = (): string => {
  keys += 1;
  return `key-${keys}`;
};

const charge = (account: PayingAccount, cardId: string, options: { amountCents?: number; key?: string } = {}) =>
  chargeCard({
    ctx: fixture.pay(account.admin),
    input: {
      billingAccountId: account.billingAccountId,
      cardId,
      amountCents: options.amountCents ?? 2_000,
      currency: undefined,
      idempotencyKey: options.key ?? nextKey(),
    },
  });

const balanceOf = async (account: PayingAccount): Promise<bigint> =>
  (await readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId: account.billingAccountId } })).balance;

const adjustmentsOf = async ({ admin, billingAccountId }: PayingAccount) =>
  (await listAdjustments({ ctx: fixture.as(admin), input: { billingAccountId, limit: 50 } })).items;

async function eventsOf(account: PayingAccount, subject: string): Promise<Record<string, unknown>[]> {
  const rows = await fixture
    .as()
    .db.select({ payload: schema.outbox.payload })
    .from(schema.outbox)
    .where(and(eq(schema.outbox.kind, "event"), eq(schema.outbox.name, subject)))
    .orderBy(schema.outbox.createdAt, schema.outbox.ordinal);
  return rows
    .map(({ payload }) => payload)
    .filter((payload) => payload["billingAccountId"] === account.billingAccountId);
}

const intentOf = async (paymentId: string): Promise<string> => {
  const [row] = await fixture.as().db.select().from(schema.payments).where(eq(schema.payments.id, paymentId));
  return row?.stripePaymentIntentId ?? "";
};

describe("chargeCard", () => {
  test("credits what was paid, once, and mails a receipt", async () => {
    const account = await fixture.newAccount();
    const { payment, clientSecret } = await charge(account, await account.saveCard());
    expect(payment).toMatchObject({
      status: "succeeded",
      amountCents: 2_000,
      amountMicros: 20_000_000n,
      currency: "usd",
    });
    expect(clientSecret).toBeNull();
    // The webhook comes with the same news, again and again.
    for (let copy = 0; copy < 3; copy += 1) await syncPayment(fixture.pay(SYSTEM), await intentOf(payment.id));
    expect(await balanceOf(account)).toBe(20_000_000n);
    expect(await eventsOf(account, "payments.succeeded")).toHaveLength(1);
    const mails = await fixture.as().db.select().from(schema.emails).where(eq(schema.emails.template, "receipt"));
    expect(mails.filter((mail) => mail.idempotencyKey.includes(payment.id))).toHaveLength(1);
    const [credit] = await adjustmentsOf(account);
    expect(credit).toMatchObject({ amountMicros: 20_000_000n, receiptUrl: payment.receiptUrl });
    expect(credit?.receiptUrl).toMatch(/^https?:/);
  });

  test("the same key from ten requests at once is one payment", async () => {
    const account = await fixture.newAccount();
    const card = await account.saveCard();
    const answers = await Promise.all(Array.from({ length: 10 }, () => charge(account, card, { key: "one" })));
    expect(new Set(answers.map(({ payment }) => payment.id)).size).toBe(1);
    expect(answers.every(({ payment }) => payment.status === "succeeded")).toBe(true);
    expect(await balanceOf(account)).toBe(20_000_000n);
    const there = await fixture.stripe.client.paymentIntents.list({ customer: account.stripeCustomerId });
    expect(there.data).toHaveLength(1);
    await expect(charge(account, card, { key: "one", amountCents: 2_500 })).rejects.toMatchObject({
      code: "CONFLICT",
      reason: "idempotency_key_reused",
    });
  });

  test("an answer that was lost is asked for again and the money moves once", async () => {
    const account = await fixture.newAccount();
    const card = await account.saveCard();
    fixture.standIn.failNext({ kind: "cutAfter", on: /POST \/v1\/payment_intents$/, times: 3 });
    await expect(charge(account, card, { key: "lost" })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "payments_unavailable",
    });
    const { payment } = await charge(account, card, { key: "lost" });
    expect(payment.status).toBe("succeeded");
    expect(await balanceOf(account)).toBe(20_000_000n);
  });

  test("a refused card says why, is announced, and stays refused under its key", async () => {
    const account = await fixture.newAccount();
    const card = await account.saveCard("pm_card_chargeCustomerFail");
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(charge(account, card, { key: "refused" })).rejects.toMatchObject({
        code: "PAYMENT_REQUIRED",
        reason: "generic_decline",
      });
    }
    expect(await balanceOf(account)).toBe(0n);
    expect(await eventsOf(account, "payments.failed")).toHaveLength(1);
  });

  test("a bank that asks the cardholder gives a client secret, and the credit comes after the answer", async () => {
    const account = await fixture.newAccount();
    const card = await account.saveCard("pm_card_threeDSecure2Required");
    const first = await charge(account, card, { key: "asks" });
    expect(first.payment.status).toBe("requires_action");
    expect(first.clientSecret).toMatch(/^pi_.+_secret_/);
    expect(await balanceOf(account)).toBe(0n);
    const intent = await intentOf(first.payment.id);
    fixture.standIn.authenticate(intent);
    await syncPayment(fixture.pay(SYSTEM), intent);
    expect(await balanceOf(account)).toBe(20_000_000n);
    expect((await charge(account, card, { key: "asks" })).payment.status).toBe("succeeded");
  });

  test("a card of another account, or of nobody, is not found, and nobody else may look", async () => {
    const [account, other] = [await fixture.newAccount(), await fixture.newAccount()];
    const card = await other.saveCard();
    await expect(charge(account, card)).rejects.toMatchObject({ code: "NOT_FOUND", reason: "card_not_found" });
    await expect(charge(account, "pm_nobodyAtAll00")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const { payment } = await charge(other, card);
    const asStranger = { ctx: fixture.pay(account.admin), input: { id: payment.id } };
    await expect(getPayment(asStranger)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await getPayment({ ...asStranger, ctx: fixture.pay(other.admin) })).id).toBe(payment.id);
  });

  test("another currency than the deployment's is refused by name", async () => {
    const account = await fixture.newAccount();
    const input = {
      billingAccountId: account.billingAccountId,
      cardId: await account.saveCard(),
      amountCents: 2_000,
      currency: "eur",
      idempotencyKey: nextKey(),
    };
    await expect(chargeCard({ ctx: fixture.pay(account.admin), input })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      reason: "foreign_currency",
      issues: [{ path: "currency" }],
    });
  });

  test("money in another currency under one of our payments is credited to nobody", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard("pm_card_threeDSecure2Required"));
    const intent = fixture.standIn.world.paymentIntents.get(await intentOf(payment.id));
    intent.currency = "eur";
    fixture.standIn.authenticate(intent.id);
    await expect(syncPayment(fixture.pay(SYSTEM), intent.id)).rejects.toThrow("foreign_currency");
    expect(await balanceOf(account)).toBe(0n);
  });

  test("a field that Stripe has moved is an error, and never nothing", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard("pm_card_threeDSecure2Required"));
    const intent = fixture.standIn.world.paymentIntents.get(await intentOf(payment.id));
    fixture.standIn.authenticate(intent.id);
    Reflect.deleteProperty(intent, "amount_received");
    await expect(syncPayment(fixture.pay(SYSTEM), intent.id)).rejects.toThrow("amount_received");
    expect(await balanceOf(account)).toBe(0n);
  });
});

describe("checkout, cards and the portal", () => {
  test("a paid page credits its account, whatever its description says", async () => {
    const account = await fixture.newAccount();
    const ctx = fixture.pay(account.admin);
    const { billingAccountId } = account;
    const checkout = await createCheckoutSession({
      ctx,
      input: { billingAccountId, amountCents: 2_500, saveCard: true, currency: undefined, returnPath: "/billing" },
    });
    expect(checkout.url).toContain(fixture.standIn.url);
    fixture.standIn.completeCheckout(checkout.sessionId);
    expect(fixture.standIn.successUrl(checkout.sessionId)).toBe(
      `https://app.example.test/billing?checkout=${checkout.sessionId}`,
    );
    await syncCheckout(fixture.pay(SYSTEM), checkout.sessionId);
    expect(await balanceOf(account)).toBe(25_000_000n);
    expect((await listCards({ ctx, input: { billingAccountId } })).items).toHaveLength(1);
    // Somebody else's intent with our words in its description is none of ours.
    const foreign = await fixture.stripe.client.paymentIntents.create(
      {
        amount: 900,
        currency: "usd",
        description: `Credit, payment ${checkout.paymentId}`,
        payment_method: "pm_card_visa",
        confirm: true,
      },
      { idempotencyKey: nextKey() },
    );
    expect(await syncPayment(fixture.pay(SYSTEM), foreign.id)).toBeUndefined();
  });

  test("a page that nobody paid in time is over", async () => {
    const account = await fixture.newAccount();
    const checkout = await createCheckoutSession({
      ctx: fixture.pay(account.admin),
      input: {
        billingAccountId: account.billingAccountId,
        amountCents: 2_500,
        saveCard: false,
        currency: undefined,
        returnPath: "/billing",
      },
    });
    await fixture.stripe.client.checkout.sessions.expire(checkout.sessionId, {}, { idempotencyKey: nextKey() });
    await syncCheckout(fixture.pay(SYSTEM), checkout.sessionId);
    const { items } = await listPayments({
      ctx: fixture.pay(account.admin),
      input: { billingAccountId: account.billingAccountId, limit: 10 },
    });
    expect(items.map(({ status }) => status)).toEqual(["canceled"]);
  });

  test("a card is announced when it comes and when it goes, once each, and is listed while Stripe is away", async () => {
    const account = await fixture.newAccount();
    const ctx = fixture.pay(account.admin);
    const { billingAccountId } = account;
    expect((await setupCard({ ctx, input: { billingAccountId } })).clientSecret).toMatch(/_secret_/);
    const [cardId, second] = [await account.saveCard(), await account.saveCard("pm_card_mastercard")];
    await setDefaultCard({ ctx, input: { billingAccountId, cardId } });
    await syncCards(fixture.pay(SYSTEM), account.stripeCustomerId);
    expect(await eventsOf(account, "payments.methodAdded")).toHaveLength(2);
    fixture.standIn.failNext({ kind: "error", on: /GET \/v1\/customers/, times: 3 });
    const known = (await listCards({ ctx, input: { billingAccountId } })).items;
    expect(known.find((card) => card.id === cardId)?.isDefault).toBe(true);
    await deleteCard({ ctx, input: { billingAccountId, cardId } });
    await syncCards(fixture.pay(SYSTEM), account.stripeCustomerId);
    expect(await eventsOf(account, "payments.methodRemoved")).toEqual([
      { billingAccountId, cardId, brand: "visa", last4: "4242" },
    ]);
    expect((await listCards({ ctx, input: { billingAccountId } })).items.map(({ id }) => id)).toEqual([second]);
    expect((await openPortal({ ctx, input: { billingAccountId } })).url).toContain("/p/session/");
  });
});

describe("money back", () => {
  const refund = (paymentId: string, amountCents?: number) =>
    refundPayment({
      ctx: fixture.pay(OPERATOR),
      input: { paymentId, amountCents, reason: undefined, idempotencyKey: nextKey() },
    });

  test("takes the credit of its own payment first, and what was spent becomes a debt", async () => {
    const account = await fixture.newAccount();
    const { billingAccountId } = account;
    const { payment } = await charge(account, await account.saveCard(), { amountCents: 1_000 });
    await decrementBalance({
      ctx: fixture.as(OPERATOR),
      input: {
        billingAccountId,
        micros: 4_000_000n as never,
        reference: "spent",
        visible: true,
        idempotencyKey: nextKey(),
      },
    });
    expect((await refund(payment.id, 300)).refundedCents).toBe(300);
    expect(await balanceOf(account)).toBe(3_000_000n);
    await refund(payment.id);
    for (let copy = 0; copy < 3; copy += 1) await syncRefunds(fixture.pay(SYSTEM), await intentOf(payment.id));
    expect(await balanceOf(account)).toBe(-4_000_000n);
    expect(await eventsOf(account, "payments.refunded")).toHaveLength(2);
    await expect(refund(payment.id)).rejects.toMatchObject({ reason: "charge_already_refunded" });
  });

  test("more than is left is refused by the field's name", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard());
    await expect(refund(payment.id, 2_001)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "amountCents" }],
    });
  });

  test("a refund that the bank sends back returns the credit, once", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard());
    await refund(payment.id, 500);
    expect(await balanceOf(account)).toBe(15_000_000n);
    const [there] = (await fixture.stripe.client.refunds.list({ payment_intent: await intentOf(payment.id) })).data;
    fixture.standIn.failRefund(there?.id ?? "");
    for (let copy = 0; copy < 2; copy += 1) await syncRefunds(fixture.pay(SYSTEM), await intentOf(payment.id));
    expect(await balanceOf(account)).toBe(20_000_000n);
  });

  test("a dispute takes nothing until it is lost, and then not what a refund has taken", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard());
    await refund(payment.id, 500);
    const intent = await fixture.stripe.client.paymentIntents.retrieve(await intentOf(payment.id));
    const dispute = fixture.standIn.openDispute(String(intent.latest_charge), { amount: 2_000 });
    await syncDispute(fixture.pay(SYSTEM), dispute.id);
    expect(await balanceOf(account)).toBe(15_000_000n);
    fixture.standIn.closeDispute(dispute.id, "lost");
    for (let copy = 0; copy < 3; copy += 1) await syncDispute(fixture.pay(SYSTEM), dispute.id);
    expect(await balanceOf(account)).toBe(0n);
    expect((await eventsOf(account, "payments.disputed")).map((event) => event["status"])).toEqual([
      "needs_response",
      "lost",
    ]);
  });

  test("a dispute that is won takes nothing", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard("pm_card_createDispute"));
    const [dispute] = (await fixture.stripe.client.disputes.list({ payment_intent: await intentOf(payment.id) })).data;
    fixture.standIn.closeDispute(dispute?.id ?? "", "won");
    await syncDispute(fixture.pay(SYSTEM), dispute?.id ?? "");
    expect(await balanceOf(account)).toBe(20_000_000n);
  });
});

describe("automatic top-ups", () => {
  const turnOn = async (account: PayingAccount, card: string, maxPerMonthCents = 5_000) =>
    setAutoTopUp({
      ctx: fixture.pay(account.admin),
      input: {
        billingAccountId: account.billingAccountId,
        isOn: true,
        thresholdMicros: 30_000_000n as never,
        amountCents: 2_000,
        maxPerMonthCents,
        cardId: card,
      },
    });
  const run = (account: PayingAccount) =>
    topUpAccount({ ctx: fixture.pay(SYSTEM), input: { billingAccountId: account.billingAccountId } });

  test("ten workers at once charge once, and a month's maximum is never passed", async () => {
    const account = await fixture.newAccount();
    await turnOn(account, await account.saveCard());
    await Promise.all(Array.from({ length: 10 }, () => run(account)));
    expect(await balanceOf(account)).toBeLessThanOrEqual(40_000_000n);
    for (let again = 0; again < 5; again += 1) await run(account);
    // 20 + 20 is at the threshold or above; three would pass the month's 50.
    expect(await balanceOf(account)).toBe(40_000_000n);
    await decrementBalance({
      ctx: fixture.as(OPERATOR),
      input: {
        billingAccountId: account.billingAccountId,
        micros: 30_000_000n as never,
        reference: "spent",
        visible: true,
        idempotencyKey: nextKey(),
      },
    });
    expect(await run(account)).toEqual({ refusal: "month_is_full" });
  });

  test("a card that is refused is left alone for longer each time, and after three times for good", async () => {
    const account = await fixture.newAccount();
    await turnOn(account, await account.saveCard("pm_card_chargeCustomerFail"), 100_000);
    for (const waitMs of [3_600_000, 6 * 3_600_000, 24 * 3_600_000]) {
      expect(await run(account)).toMatchObject({ payment: { status: "failed" } });
      expect(await run(account)).toHaveProperty("refusal");
      fixture.clock.advanceMs(waitMs);
    }
    expect(await run(account)).toEqual({ refusal: "off" });
    const events = await eventsOf(account, "balance.topUpFailed");
    expect(events.map((event) => [event["failures"], event["isOff"]])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ]);
  });

  test("a provider that does not answer is asked again under the same key", async () => {
    const account = await fixture.newAccount();
    await turnOn(account, await account.saveCard(), 2_000);
    fixture.standIn.failNext({ kind: "cutAfter", on: /POST \/v1\/payment_intents$/, times: 3 });
    await expect(run(account)).rejects.toMatchObject({ reason: "payments_unavailable" });
    expect(await run(account)).toMatchObject({ payment: { status: "succeeded" } });
    expect(await balanceOf(account)).toBe(20_000_000n);
  });

  test("a card of another account cannot be set", async () => {
    const [account, other] = [await fixture.newAccount(), await fixture.newAccount()];
    await expect(turnOn(account, await other.saveCard())).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("comparing with Stripe", () => {
  test("names what differs and puts right what nobody told us of", async () => {
    const account = await fixture.newAccount();
    const card = await account.saveCard();
    const { payment: refunded } = await charge(account, card);
    const { payment: unknown } = await charge(account, card);
    const asks = await charge(account, await account.saveCard("pm_card_threeDSecure2Required"));
    await fixture.stripe.client.refunds.create(
      { payment_intent: await intentOf(refunded.id), amount: 700 },
      { idempotencyKey: nextKey() },
    );
    fixture.standIn.world.paymentIntents.delete(await intentOf(unknown.id));
    fixture.standIn.authenticate(await intentOf(asks.payment.id));
    fixture.clock.advanceMs(20 * 60_000);
    await reconcilePayments({ ctx: fixture.pay(SYSTEM), billing: NO_BILLING_PORT });
    await reconcilePayments({ ctx: fixture.pay(SYSTEM), billing: NO_BILLING_PORT });
    const rows = await fixture.as().db.select().from(schema.paymentDifferences);
    const found = rows
      .filter(({ paymentId }) => [refunded.id, unknown.id, asks.payment.id].includes(paymentId ?? ""))
      .map(({ kind, paymentId, isHealed }) => ({ kind, paymentId, isHealed }));
    expect(found).toHaveLength(3);
    expect(found).toEqual(
      expect.arrayContaining([
        { kind: "refunds", paymentId: refunded.id, isHealed: true },
        { kind: "missing_there", paymentId: unknown.id, isHealed: false },
        { kind: "status", paymentId: asks.payment.id, isHealed: true },
      ]),
    );
    expect(await balanceOf(account)).toBe(53_000_000n);
  });

  test("a payment that this database has lost is credited again from Stripe", async () => {
    const account = await fixture.newAccount();
    const checkout = await createCheckoutSession({
      ctx: fixture.pay(account.admin),
      input: {
        billingAccountId: account.billingAccountId,
        amountCents: 2_500,
        saveCard: false,
        currency: undefined,
        returnPath: "/billing",
      },
    });
    fixture.standIn.completeCheckout(checkout.sessionId);
    await fixture
      .as()
      .db.delete(schema.payments)
      .where(eq(schema.payments.id, checkout.paymentId ?? ""));
    fixture.clock.advanceMs(20 * 60_000);
    await reconcilePayments({ ctx: fixture.pay(SYSTEM), billing: NO_BILLING_PORT });
    expect(await balanceOf(account)).toBe(25_000_000n);
  });

  test("a payment whose webhook never comes is found by the sweep", async () => {
    const account = await fixture.newAccount();
    const { payment } = await charge(account, await account.saveCard("pm_card_threeDSecure2Required"));
    fixture.standIn.authenticate(await intentOf(payment.id));
    fixture.clock.advanceMs(11 * 60_000);
    await sweepPayments({ ctx: fixture.pay(SYSTEM) });
    expect(await balanceOf(account)).toBe(20_000_000n);
  });
});

test("an account that is erased is forgotten at Stripe, twice as well as once", async () => {
  const account = await fixture.newAccount();
  await account.saveCard();
  const subject = { billingAccountIds: [account.billingAccountId] };
  await erasePayments(fixture.as(SYSTEM), fixture.stripe, subject);
  await erasePayments(fixture.as(SYSTEM), fixture.stripe, subject);
  expect(await fixture.stripe.client.customers.retrieve(account.stripeCustomerId)).toMatchObject({ deleted: true });
});

test("in the end the books balance, and every write at Stripe had a key of ours", async () => {
  const broken = (await checkBooks({ ctx: fixture.as(SYSTEM) })).filter(({ ok }) => !ok);
  expect(broken).toEqual([]);
  const writes = fixture.standIn.requests.filter(({ request }) => request.startsWith("POST"));
  expect(writes.length).toBeGreaterThan(20);
  const keyless = writes.filter(
    ({ idempotencyKey }) => idempotencyKey === undefined || idempotencyKey.startsWith("stripe-node"),
  );
  expect(keyless).toEqual([]);
});
