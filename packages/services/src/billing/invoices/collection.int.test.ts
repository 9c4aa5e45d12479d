import { schema, withTransaction } from "@tollgate/db";
import { and, asc, eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SYSTEM } from "../../../test/serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "../../../test/stripeFixture.ts";
import { createStripeFixture, insertLendingTier } from "../../../test/stripeFixture.ts";
import { makeCalls, micros } from "../../../test/usageFixture.ts";
import { creditWallet, expireDueGrants, readBalance } from "../../balance/index.ts";
import { checkBooks } from "../../checks/index.ts";
import { failPayment } from "../../payments/chargePayment.ts";
import { toCurrency } from "../../payments/currency.ts";
import { reconcilePayments } from "../../payments/index.ts";
import { claimInTransaction } from "../../payments/internal.ts";
import { BILLING_PORT, closePeriods, collectInvoice, readAccount, subscribeTier, sweepCollections } from "../index.ts";
import { syncStripeInvoice } from "../subscriptions/syncStripeInvoice.ts";
import { planTakenBack } from "../subscriptions/takeBackCredit.ts";
import { chargeableCents } from "./collectUsage.ts";

vi.setConfig({ testTimeout: 180_000 });
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
  await insertLendingTier(fixture, { monthlyPriceMicros: micros(10_000_000), creditLimitMicros: micros(100_000_000) });
});
afterAll(async () => {
  await fixture?.close();
});

const subscribe = (account: PayingAccount, tierId: string) =>
  subscribeTier({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId: account.billingAccountId, tierId, cardId: undefined },
  });
const use = ({ billingAccountId, projectId }: PayingAccount, amount: number) =>
  makeCalls(fixture, [
    { billingAccountId, projectId, endpointId: "ep_00000001", at: fixture.clock.now(), chargedMicros: micros(amount) },
  ]);
const invoicesOf = ({ billingAccountId }: PayingAccount, kind: "usage" | "subscription" = "usage") =>
  fixture
    .as()
    .db.select()
    .from(schema.invoices)
    .where(and(eq(schema.invoices.billingAccountId, billingAccountId), eq(schema.invoices.kind, kind)))
    .orderBy(asc(schema.invoices.periodStart));
const paymentsOf = ({ billingAccountId }: PayingAccount) =>
  fixture.as().db.select().from(schema.payments).where(eq(schema.payments.billingAccountId, billingAccountId));
const intentsOf = async ({ stripeCustomerId }: PayingAccount) =>
  (await fixture.stripe.client.paymentIntents.list({ customer: stripeCustomerId, limit: 100 })).data;
const balanceOf = async ({ billingAccountId }: PayingAccount) =>
  (await readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId } })).balance;
const tierOf = async ({ billingAccountId }: PayingAccount) =>
  (await readAccount({ ctx: fixture.as(SYSTEM), input: { billingAccountId } })).tier.id;
const expectBooksToBalance = async () =>
  expect((await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok)).toEqual([]);
const eventsOf = async ({ billingAccountId }: PayingAccount, subject: string) =>
  (
    await fixture
      .as()
      .db.select({ payload: schema.outbox.payload })
      .from(schema.outbox)
      .where(and(eq(schema.outbox.kind, "event"), eq(schema.outbox.name, subject)))
      .orderBy(schema.outbox.createdAt, schema.outbox.ordinal)
  )
    .map(({ payload }) => payload)
    .filter((payload) => payload["billingAccountId"] === billingAccountId);

/** An account on the tier that lends has used so much more than its credit, and its period is closed. */
async function owe(amount: number, card?: string): Promise<PayingAccount> {
  const account = await fixture.newPayer();
  await subscribe(account, "lender");
  if (card !== undefined) await account.useByDefault(await account.saveCard(card));
  // The included credit goes first.
  await use(account, 5_000_000 + amount);
  await close(account);
  return account;
}
async function close({ billingAccountId }: PayingAccount): Promise<void> {
  fixture.clock.advanceMs(32 * DAY_MS);
  const at = fixture.clock.now().toISOString();
  await closePeriods({ ctx: fixture.as(SYSTEM), input: { billingAccountIds: [billingAccountId], at } });
}
/** As two workers do it at once. */
async function collect(account: PayingAccount): Promise<void> {
  await sweepCollections({ ctx: fixture.pay(SYSTEM) });
  for (const { id } of await invoicesOf(account)) {
    await Promise.all([
      collectInvoice({ ctx: fixture.pay(SYSTEM), input: { invoiceId: id } }),
      collectInvoice({
        ctx: { ...fixture.otherProcess(SYSTEM), stripe: fixture.stripe },
        input: { invoiceId: id },
      }),
    ]);
  }
}

describe("what a tier lends", () => {
  test("is collected by card when the period is closed, once, and makes the wallet good", async () => {
    const account = await owe(30_000_000);
    expect(await balanceOf(account)).toBe(-30_000_000n);
    expect(await invoicesOf(account)).toMatchObject([{ status: "final", dueMicros: 30_000_000n }]);
    await collect(account);
    await collect(account);
    expect(await balanceOf(account)).toBe(0n);
    expect(await invoicesOf(account)).toMatchObject([{ status: "paid", dueMicros: 0n, nextAttemptAt: null }]);
    expect(await paymentsOf(account)).toMatchObject([{ kind: "card", status: "succeeded", amountCents: 3_000 }]);
    expect((await intentsOf(account)).filter((intent) => intent.amount === 3_000)).toHaveLength(1);
    expect((await eventsOf(account, "billing.invoicePaid")).filter(({ kind }) => kind === "usage")).toHaveLength(1);
    await expectBooksToBalance();
  });

  test("is collected once when the answer is lost, and whatever the next run finds", async () => {
    const account = await owe(7_000_000);
    const [invoice] = await invoicesOf(account);
    fixture.standIn.failNext({ kind: "cutAfter", on: /POST \/v1\/payment_intents$/, times: 3 });
    const input = { invoiceId: invoice?.id ?? "" };
    await expect(collectInvoice({ ctx: fixture.pay(SYSTEM), input })).rejects.toMatchObject({
      reason: "payments_unavailable",
    });
    await collect(account);
    expect(await balanceOf(account)).toBe(0n);
    expect((await intentsOf(account)).filter((intent) => intent.amount === 700)).toHaveLength(1);
    await expectBooksToBalance();
  });

  test("is tried again after 3, 5 and 7 days, and then the tier lapses and the debt stays", async () => {
    const account = await owe(20_000_000, "pm_card_chargeCustomerFail");
    for (let day = 0; day < 17; day += 1) {
      await collect(account);
      fixture.clock.advanceMs(DAY_MS);
    }
    const failures = (await eventsOf(account, "billing.invoicePaymentFailed")).filter(({ kind }) => kind === "usage");
    expect(failures.map(({ attempts }) => attempts)).toEqual([1, 2, 3, 4]);
    expect(await tierOf(account)).toBe("free");
    expect(await balanceOf(account)).toBe(-20_000_000n);
    expect(await invoicesOf(account)).toMatchObject([{ status: "final", dueMicros: 20_000_000n, nextAttemptAt: null }]);
    expect(await eventsOf(account, "billing.subscriptionLapsed")).toHaveLength(1);
    // Whoever pays later owes nothing any more.
    await pay(account, 25_000_000);
    await collect(account);
    expect(await invoicesOf(account)).toMatchObject([{ status: "paid", dueMicros: 0n }]);
    await expectBooksToBalance();
  });

  test("is tried once when its time has come, also when another worker is refused in the meantime", async () => {
    const account = await owe(20_000_000, "pm_card_chargeCustomerFail");
    const [invoice] = await invoicesOf(account);
    const input = { invoiceId: invoice?.id ?? "" };
    const { customers } = fixture.stripe.client;
    const retrieve = customers.retrieve.bind(customers);
    // It has seen that nothing is under way and looks for a card, while another is refused and has not noted it yet.
    const looking = vi.spyOn(customers, "retrieve").mockImplementationOnce(async (id) => {
      const ctx = { ...fixture.otherProcess(SYSTEM), stripe: fixture.stripe };
      const { billingAccountId } = account;
      const { row } = await withTransaction(ctx, (ctx) =>
        claimInTransaction(ctx, {
          billingAccountId,
          kind: "card",
          invoiceId: input.invoiceId,
          amountCents: 2_000,
          currency: toCurrency("usd"),
          cardId: "pm_card_chargeCustomerFail",
          idempotencyKey: "of-the-other",
          action: "billing.collect",
        }),
      );
      await failPayment(ctx, row, "card_declined");
      return retrieve(id);
    });
    await collectInvoice({ ctx: fixture.pay(SYSTEM), input });
    looking.mockRestore();
    expect(await paymentsOf(account)).toMatchObject([{ status: "failed" }]);
    expect(await invoicesOf(account)).toMatchObject([{ attempts: 1 }]);
  });

  test("is not charged for what was paid in the meantime", async () => {
    const account = await owe(20_000_000);
    await pay(account, 15_000_000);
    await collect(account);
    expect(await balanceOf(account)).toBe(0n);
    expect((await intentsOf(account)).map((intent) => intent.amount)).toEqual(expect.arrayContaining([500]));
    expect((await intentsOf(account)).map((intent) => intent.amount)).not.toContain(2_000);
    const paid = await owe(20_000_000);
    await pay(paid, 20_000_000);
    await collect(paid);
    expect(await invoicesOf(paid)).toMatchObject([{ status: "paid" }]);
    // Nothing but the subscription itself.
    expect(new Set((await intentsOf(paid)).map((intent) => intent.amount))).toEqual(new Set([1_000]));
  });

  test("is never asked for by a tier that blocks", async () => {
    const account = await fixture.newPayer();
    await pay(account, 1_000_000);
    await use(account, 4_000_000);
    await close(account);
    await collect(account);
    expect(await invoicesOf(account)).toMatchObject([{ status: "final", dueMicros: 3_000_000n, nextAttemptAt: null }]);
    expect(await intentsOf(account)).toEqual([]);
  });

  test.each([
    ["usd", 30_000_000n, 3_000],
    ["usd", 1n, 50],
    ["usd", 10_000_001n, 1_001],
    ["jpy", 30_000_000_001n, 30_001],
    ["kwd", 10_000_001n, 10_010],
  ] as const)("in %s of %s micros is a charge of %s", (code, owed, cents) => {
    expect(chargeableCents(toCurrency(code), micros(owed))).toBe(cents);
  });
});

let payments = 0;
const pay = ({ billingAccountId }: PayingAccount, amount: number) => {
  payments += 1;
  return creditWallet(fixture.as(SYSTEM), {
    billingAccountId,
    micros: micros(amount),
    source: "paid",
    idempotencyKey: `test-${payments}`,
    reference: "Test",
    visible: true,
  });
};

describe("the credit that comes with a subscription", () => {
  async function newSubscriber() {
    const account = await fixture.newPayer();
    await subscribe(account, "pro");
    const [invoice] = await invoicesOf(account, "subscription");
    const [intent] = await intentsOf(account);
    const stripeInvoiceId = invoice?.stripeInvoiceId ?? "";
    return {
      account,
      intentId: intent?.id ?? "",
      chargeId: String(intent?.latest_charge),
      // From two places at once, and again.
      news: async () => {
        await Promise.all([
          syncStripeInvoice(fixture.pay(SYSTEM), stripeInvoiceId),
          syncStripeInvoice({ ...fixture.otherProcess(SYSTEM), stripe: fixture.stripe }, stripeInvoiceId),
        ]);
        await syncStripeInvoice(fixture.pay(SYSTEM), stripeInvoiceId);
      },
    };
  }
  const refund = (intentId: string, amount?: number) =>
    fixture.stripe.client.refunds.create(
      { payment_intent: intentId, ...(amount === undefined ? {} : { amount }) },
      { idempotencyKey: `refund:${intentId}:${amount ?? "rest"}` },
    );

  test("goes with the money that is refunded, part by part and once", async () => {
    const { account, intentId, news } = await newSubscriber();
    await refund(intentId, 1_633);
    await news();
    expect(await balanceOf(account)).toBe(24_500_000n - (24_500_000n * 1_633n) / 4_900n);
    await refund(intentId);
    await news();
    expect(await balanceOf(account)).toBe(0n);
    await expectBooksToBalance();
  });

  test("goes once with a refund and a lost dispute of the same money, also where it was spent", async () => {
    const { account, intentId, chargeId, news } = await newSubscriber();
    await use(account, 20_000_000);
    fixture.clock.advanceMs(HOUR_MS);
    await refund(intentId, 2_450);
    await news();
    const dispute = fixture.standIn.openDispute(chargeId, { amount: 4_900 });
    await news();
    expect((await balanceOf(account)) - -8_000_000n).toBeGreaterThan(0n);
    fixture.standIn.closeDispute(dispute.id, "lost");
    await news();
    const { balance } = await readBalance({
      ctx: fixture.as(SYSTEM),
      input: { billingAccountId: account.billingAccountId },
    });
    expect(balance).toBe(-20_000_000n);
    await expectBooksToBalance();
  });

  test("goes with a refund and with a lost dispute that nobody told of, by the daily comparison", async () => {
    const reconcile = () => reconcilePayments({ ctx: fixture.pay(SYSTEM), billing: BILLING_PORT });
    const refunded = await newSubscriber();
    const disputed = await newSubscriber();
    fixture.clock.advanceMs(10 * DAY_MS);
    const { id } = await refund(refunded.intentId, 2_450);
    const dispute = fixture.standIn.openDispute(disputed.chargeId, { amount: 4_900 });
    fixture.standIn.closeDispute(dispute.id, "lost");
    fixture.clock.advanceMs(HOUR_MS);
    await reconcile();
    expect([await balanceOf(refunded.account), await balanceOf(disputed.account)]).toEqual([12_250_000n, 0n]);
    await reconcile();
    const rows = await fixture.as().db.select().from(schema.paymentDifferences);
    expect(rows.filter(({ stripeId }) => stripeId === id || stripeId === dispute.id)).toMatchObject([
      { kind: "refunds", here: null, there: "succeeded", isHealed: true },
      { kind: "refunds", here: null, there: "lost", isHealed: true },
    ]);
    expect(await balanceOf(refunded.account)).toBe(12_250_000n);
    await expectBooksToBalance();
  });

  test("comes back with a refund that the bank sends back, once", async () => {
    const { account, intentId, news } = await newSubscriber();
    const { id } = await refund(intentId);
    await news();
    expect(await balanceOf(account)).toBe(0n);
    fixture.standIn.failRefund(id);
    await news();
    expect(await balanceOf(account)).toBe(24_500_000n);
    await expectBooksToBalance();
  });

  test("is not taken again when it has expired", async () => {
    const { account, intentId, news } = await newSubscriber();
    await use(account, 4_500_000);
    fixture.clock.advanceMs(33 * DAY_MS);
    await refund(intentId);
    await news();
    // What was spent of it is owed, what has expired is gone.
    expect(await balanceOf(account)).toBe(-4_500_000n);
    await expireDueGrants({ ctx: fixture.as(SYSTEM), input: { billingAccountId: account.billingAccountId } });
    expect(await balanceOf(account)).toBe(-4_500_000n);
    await expectBooksToBalance();
  });

  test("is taken back in proportion, and all of it when all is gone", () => {
    const taken = (goneCents: number) => planTakenBack({ creditMicros: micros(1_000), paidCents: 3, goneCents });
    expect([0, 1, 2, 3, 9].map(taken)).toEqual([0n, 333n, 666n, 1_000n, 1_000n]);
  });
});
