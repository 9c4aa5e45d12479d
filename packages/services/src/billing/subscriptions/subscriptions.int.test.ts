import { schema } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { signatureOf } from "@tollgate/testing/stripe";
import { and, eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SYSTEM } from "../../../test/serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "../../../test/stripeFixture.ts";
import { createStripeFixture } from "../../../test/stripeFixture.ts";
import { listGrants, readBalance } from "../../balance/index.ts";
import { checkBooks } from "../../checks/index.ts";
import { processStripeEvent, receiveStripeEvent } from "../../payments/index.ts";
import {
  BILLING_PORT,
  cancelSubscription,
  collectInvoice,
  followSubscription,
  previewTierChange,
  readAccount,
  resumeSubscription,
  subscribeTier,
  sweepCollections,
} from "../index.ts";
import { requireTier } from "./internal.ts";
import { syncSubscription } from "./syncSubscription.ts";
import { ensureTierPrice } from "./tierPrice.ts";

vi.setConfig({ testTimeout: 240_000 });
const DAY_MS = 86_400_000;
let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
});
afterAll(async () => {
  await fixture?.close();
});

const subscribe = (account: PayingAccount, tierId: string, cardId?: string) =>
  subscribeTier({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId: account.billingAccountId, tierId, cardId },
  });
const cancel = (account: PayingAccount, atPeriodEnd = true) =>
  cancelSubscription({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId: account.billingAccountId, atPeriodEnd },
  });
const resume = (account: PayingAccount, cardId?: string) =>
  resumeSubscription({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId: account.billingAccountId, cardId },
  });
const preview = (account: PayingAccount, tierId: string) =>
  previewTierChange({
    ctx: fixture.pay(account.admin),
    input: { billingAccountId: account.billingAccountId, tierId },
  });
const tierOf = async ({ billingAccountId }: PayingAccount) =>
  (await readAccount({ ctx: fixture.as(SYSTEM), input: { billingAccountId } })).tier.id;
const balanceOf = async ({ billingAccountId }: PayingAccount) =>
  (await readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId } })).balance;
const subscriptionsAtStripe = async ({ stripeCustomerId }: PayingAccount) =>
  (await fixture.stripe.client.subscriptions.list({ customer: stripeCustomerId, status: "all" })).data;
const invoicesOf = ({ billingAccountId }: PayingAccount) =>
  fixture
    .as()
    .db.select()
    .from(schema.invoices)
    .where(and(eq(schema.invoices.billingAccountId, billingAccountId), eq(schema.invoices.kind, "subscription")))
    .orderBy(schema.invoices.createdAt, schema.invoices.id);

async function eventsOf({ billingAccountId }: PayingAccount, subject: string): Promise<Record<string, unknown>[]> {
  const rows = await fixture
    .as()
    .db.select({ payload: schema.outbox.payload })
    .from(schema.outbox)
    .where(and(eq(schema.outbox.kind, "event"), eq(schema.outbox.name, subject)))
    .orderBy(schema.outbox.createdAt, schema.outbox.ordinal);
  return rows.map(({ payload }) => payload).filter((payload) => payload["billingAccountId"] === billingAccountId);
}

/** What the workers do by the clock: time passes at Stripe, news are looked up, and what is due is collected. */
async function passDays(account: PayingAccount, days: number): Promise<void> {
  for (let day = 0; day < days; day += 1) {
    fixture.clock.advanceMs(DAY_MS);
    fixture.standIn.catchUp();
    await work(account);
  }
}
async function work({ billingAccountId }: PayingAccount): Promise<void> {
  const ctx = fixture.pay(SYSTEM);
  const { db } = fixture.as();
  await sweepCollections({ ctx });
  const { invoices, subscriptions } = schema;
  const live = await db.select().from(subscriptions).where(eq(subscriptions.billingAccountId, billingAccountId));
  for (const { id } of live) await followSubscription({ ctx, input: { subscriptionId: id } });
  const open = await db.select().from(invoices).where(eq(invoices.billingAccountId, billingAccountId));
  for (const { id } of open) {
    // From two places at once.
    await Promise.all([
      collectInvoice({ ctx, input: { invoiceId: id } }),
      collectInvoice({ ctx: { ...fixture.otherProcess(SYSTEM), stripe: fixture.stripe }, input: { invoiceId: id } }),
    ]);
  }
}

/** A context whose first answer about a subscription is kept back until it is released. */
function holdingAnswers() {
  let release: () => void = () => undefined;
  let noteAsked: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    noteAsked = resolve;
  });
  const { client } = fixture.stripe;
  const subscriptions = new Proxy(client.subscriptions, {
    get: (target, name) =>
      name === "retrieve"
        ? async (...parameters: Parameters<typeof target.retrieve>) => {
            const answer = await target.retrieve(...parameters);
            noteAsked();
            await released;
            return answer;
          }
        : Reflect.get(target, name),
  });
  const slow = new Proxy(client, {
    get: (target, name) => (name === "subscriptions" ? subscriptions : Reflect.get(target, name)),
  });
  const ctx = { ...fixture.otherProcess(SYSTEM), stripe: { ...fixture.stripe, client: slow } };
  return { ctx, asked, release: () => release() };
}

const expectBooksToBalance = async () =>
  expect((await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok)).toEqual([]);

describe("a tier", () => {
  test("begins when it is paid for, with the included credit, which ends with the period", async () => {
    const account = await fixture.newPayer();
    const quoted = await preview(account, "pro");
    expect(quoted).toMatchObject({ effect: "now", dueNowMicros: 49_000_000n, creditMicros: 24_500_000n });
    const { effect, subscription, clientSecret } = await subscribe(account, "pro");
    expect({ effect, clientSecret }).toEqual({ effect: "now", clientSecret: null });
    expect(subscription).toMatchObject({ status: "active", tierId: "pro", isCancelling: false, pendingTierId: null });
    expect(subscription?.periodEnd).toEqual(quoted.nextPeriodStart);
    expect(await tierOf(account)).toBe("pro");
    // Usage is invoiced by the same day of the month.
    const { billingAccounts } = schema;
    const [{ anchor } = { anchor: null }] = await fixture
      .as()
      .db.select({ anchor: billingAccounts.periodAnchor })
      .from(billingAccounts)
      .where(eq(billingAccounts.id, account.billingAccountId));
    expect(anchor).toBe(subscription?.periodStart?.toISOString().slice(0, 10));
    expect(await balanceOf(account)).toBe(24_500_000n);
    const grants = await listGrants({
      ctx: fixture.as(SYSTEM),
      input: { billingAccountId: account.billingAccountId, limit: 10 },
    });
    expect(grants.items).toMatchObject([{ source: "subscription", amountMicros: 24_500_000n }]);
    const expiresAt = grants.items[0]?.expiresAt?.getTime() ?? 0;
    expect(expiresAt - (subscription?.periodEnd?.getTime() ?? 0)).toBeLessThan(3_600_000);
    const [invoice] = await invoicesOf(account);
    expect(invoice).toMatchObject({ status: "paid", totalMicros: 49_000_000n, dueMicros: 0n });
    expect(await eventsOf(account, "billing.subscriptionChanged")).toHaveLength(1);
    await expectBooksToBalance();
  });

  test("that is asked for by ten at once is paid for once", async () => {
    const account = await fixture.newPayer();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => untilAvailable(() => subscribe(account, "solo"))),
    );
    expect(new Set(answers.map(({ subscription }) => subscription?.id)).size).toBe(1);
    expect(await subscriptionsAtStripe(account)).toHaveLength(1);
    expect(await balanceOf(account)).toBe(5_000_000n);
    expect((await subscribe(account, "solo")).effect).toBe("none");
  });

  test("whose answer was lost is found again, and paid for once", async () => {
    const account = await fixture.newPayer();
    fixture.standIn.failNext({ kind: "cutAfter", on: /POST \/v1\/subscriptions$/, times: 3 });
    await expect(subscribe(account, "solo")).rejects.toMatchObject({ reason: "payments_unavailable" });
    expect(await tierOf(account)).toBe("free");
    await work(account);
    expect(await tierOf(account)).toBe("solo");
    expect((await subscribe(account, "solo")).effect).toBe("none");
    expect(await subscriptionsAtStripe(account)).toHaveLength(1);
  });

  test("whose credit rolls over keeps it beyond the period", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "business");
    const { items } = await listGrants({
      ctx: fixture.as(SYSTEM),
      input: { billingAccountId: account.billingAccountId, limit: 10 },
    });
    expect(items).toMatchObject([{ amountMicros: 149_500_000n, expiresAt: null }]);
  });

  test("keeps the margin that is in force when it is paid", async () => {
    const account = await fixture.newPayer();
    const ctx = fixture.pay(account.admin);
    await subscribeTier({
      ctx: { ...ctx, settings: { ...ctx.settings, margin: 0.3333 } },
      input: { billingAccountId: account.billingAccountId, tierId: "solo" },
    });
    expect(await balanceOf(account)).toBe(6_667_000n);
  });

  test("is not had with a card that is refused, and nothing is left behind", async () => {
    const account = await fixture.newPayer("pm_card_chargeCustomerFail");
    await expect(subscribe(account, "solo")).rejects.toMatchObject({
      code: "PAYMENT_REQUIRED",
      reason: "generic_decline",
    });
    expect(await tierOf(account)).toBe("free");
    expect((await subscriptionsAtStripe(account)).map(({ status }) => status)).toEqual(["canceled"]);
    const good = await account.saveCard();
    expect((await subscribe(account, "solo", good)).subscription?.status).toBe("active");
    const none = await fixture.newAccount();
    await expect(subscribe(none, "solo")).rejects.toMatchObject({ reason: "card_missing" });
  });

  test("waits for the cardholder's answer to the bank, and asks the same again", async () => {
    const account = await fixture.newPayer("pm_card_threeDSecure2Required");
    const first = await subscribe(account, "solo");
    expect(first.subscription?.status).toBe("incomplete");
    expect(first.clientSecret).toMatch(/^pi_.+_secret_/);
    expect(first.hostedUrl).toContain(fixture.standIn.url);
    expect(await tierOf(account)).toBe("free");
    expect((await subscribe(account, "solo")).clientSecret).toBe(first.clientSecret);
    fixture.standIn.authenticate(first.clientSecret?.split("_secret_")[0] ?? "");
    await work(account);
    expect(await tierOf(account)).toBe("solo");
    expect(await balanceOf(account)).toBe(5_000_000n);
  });

  test("that is being made is not called off under its feet, and one that came to nothing is given up in time", async () => {
    const account = await fixture.newPayer();
    fixture.standIn.failNext({ kind: "cutBefore", on: /POST \/v1\/subscriptions$/, times: 3 });
    await expect(subscribe(account, "solo")).rejects.toMatchObject({ reason: "payments_unavailable" });
    await expect(cancel(account)).rejects.toMatchObject({ reason: "change_under_way" });
    fixture.clock.advanceMs(55 * 60_000);
    await expect(subscribe(account, "solo")).rejects.toMatchObject({ reason: "payments_unavailable" });
    fixture.clock.advanceMs(10 * 60_000);
    expect(await cancel(account)).toMatchObject({ status: "ended" });
    expect(await subscriptionsAtStripe(account)).toEqual([]);
    expect((await subscribe(account, "solo")).subscription?.status).toBe("active");
  });

  test("stays what Stripe said last, however late an older answer comes", async () => {
    const account = await fixture.newPayer();
    const { subscription } = await subscribe(account, "solo");
    await cancel(account);
    const stripeId = (await subscriptionsAtStripe(account))[0]?.id ?? "";
    const late = holdingAnswers();
    const following = syncSubscription(late.ctx, stripeId);
    await late.asked;
    expect((await resume(account)).subscription).toMatchObject({ isCancelling: false });
    late.release();
    expect((await following)?.row).toMatchObject({ id: subscription?.id, isCancelling: false });
    const { subscription: after } = await readAccount({
      ctx: fixture.as(SYSTEM),
      input: { billingAccountId: account.billingAccountId },
    });
    expect(after?.isCancelling).toBe(false);
  });

  test("is not anybody else's to change", async () => {
    const [account, other] = [await fixture.newPayer(), await fixture.newPayer()];
    const input = { billingAccountId: account.billingAccountId, tierId: "solo", cardId: undefined };
    await expect(subscribeTier({ ctx: fixture.pay(other.admin), input })).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(subscribe(account, "solo", other.cardId)).rejects.toMatchObject({ reason: "card_not_found" });
    await expect(subscribe(account, "gold")).rejects.toMatchObject({ reason: "tier_not_found" });
    await expect(cancel(account)).rejects.toMatchObject({ reason: "subscription_not_found" });
  });
});

describe("a change of tier", () => {
  test("to a better one is now, for the difference of the rest of the period", async () => {
    const account = await fixture.newPayer();
    const { subscription } = await subscribe(account, "solo");
    await passDays(account, 10);
    const quoted = await preview(account, "pro");
    expect(quoted.dueNowMicros).toBeLessThan(39_000_000n);
    expect(quoted.unusedMicros).toBeGreaterThan(0n);
    const [upgraded] = await Promise.all([subscribe(account, "pro"), subscribe(account, "pro")]);
    expect(upgraded.subscription).toMatchObject({ tierId: "pro", periodEnd: subscription?.periodEnd });
    const [, second, ...more] = await invoicesOf(account);
    expect(more.filter((invoice) => invoice.totalMicros !== 0n)).toEqual([]);
    expect(second).toMatchObject({ status: "paid", totalMicros: quoted.dueNowMicros });
    expect(await balanceOf(account)).toBe(5_000_000n + quoted.creditMicros);
    await expectBooksToBalance();
  });

  test("to a better one that the bank refuses changes nothing, also not what was planned", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "pro");
    await subscribe(account, "solo");
    await account.useByDefault(await account.saveCard("pm_card_chargeCustomerFail"));
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(subscribe(account, "business")).rejects.toMatchObject({ reason: "generic_decline" });
    }
    const refusing = await account.saveCard("pm_card_chargeCustomerFail");
    await expect(subscribe(account, "business", refusing)).rejects.toMatchObject({ reason: "generic_decline" });
    expect((await subscriptionsAtStripe(account)).map((one) => one.default_payment_method)).toEqual([null]);
    await account.useByDefault(account.cardId);
    const { subscription } = await readAccount({
      ctx: fixture.as(SYSTEM),
      input: { billingAccountId: account.billingAccountId },
    });
    expect(subscription).toMatchObject({ tierId: "pro", pendingTierId: "solo", status: "active" });
    const quoted = await preview(account, "business");
    expect(quoted.dueNowMicros).toBeGreaterThan(249_000_000n);
    expect((await subscribe(account, "business")).subscription).toMatchObject({
      tierId: "business",
      pendingTierId: null,
    });
    expect((await invoicesOf(account)).map(({ totalMicros }) => totalMicros)).toContain(quoted.dueNowMicros);
  });

  test("to a better one waits for the cardholder's answer to the bank", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "solo");
    const asking = await account.saveCard("pm_card_threeDSecure2Required");
    const { subscription, clientSecret } = await subscribe(account, "pro", asking);
    expect(subscription?.tierId).toBe("solo");
    expect(clientSecret).toMatch(/_secret_/);
    expect((await subscribe(account, "pro")).clientSecret).toBe(clientSecret);
    await expect(subscribe(account, "business")).rejects.toMatchObject({ reason: "change_under_way" });
    fixture.standIn.authenticate(clientSecret?.split("_secret_")[0] ?? "");
    await work(account);
    expect(await tierOf(account)).toBe("pro");
    expect(await balanceOf(account)).toBe(5_000_000n + 19_500_000n);
  });

  test("to a cheaper one waits for the period's end, and costs nothing until then", async () => {
    const account = await fixture.newPayer();
    const { subscription: before } = await subscribe(account, "pro");
    const { effect, subscription } = await subscribe(account, "solo");
    expect(effect).toBe("at_period_end");
    expect(subscription).toMatchObject({ tierId: "pro", pendingTierId: "solo", periodEnd: before?.periodEnd });
    expect((await subscribe(account, "solo")).subscription).toEqual(subscription);
    await passDays(account, 20);
    expect(await tierOf(account)).toBe("pro");
    await passDays(account, 13);
    expect(await tierOf(account)).toBe("solo");
    expect((await invoicesOf(account)).map(({ totalMicros }) => totalMicros)).toEqual([49_000_000n, 10_000_000n]);
    expect(await balanceOf(account)).toBe(5_000_000n);
    await expectBooksToBalance();
  });

  test("that is planned is taken back by asking for the present tier", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "pro");
    await subscribe(account, "solo");
    expect((await subscribe(account, "pro")).subscription).toMatchObject({ tierId: "pro", pendingTierId: null });
    await passDays(account, 33);
    expect(await tierOf(account)).toBe("pro");
    expect((await invoicesOf(account)).map(({ totalMicros }) => totalMicros)).toEqual([49_000_000n, 49_000_000n]);
  });
});

describe("an end", () => {
  test("comes with the period, unless it is taken back", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "solo");
    expect(await cancel(account)).toMatchObject({ isCancelling: true, status: "active" });
    expect(await cancel(account)).toMatchObject({ isCancelling: true });
    expect((await resume(account)).subscription).toMatchObject({ isCancelling: false });
    expect((await resume(account)).subscription).toMatchObject({ isCancelling: false });
    await subscribe(account, "free");
    expect(await tierOf(account)).toBe("solo");
    await passDays(account, 32);
    expect(await tierOf(account)).toBe("free");
    expect(await balanceOf(account)).toBe(0n);
    expect(await eventsOf(account, "billing.subscriptionLapsed")).toEqual([]);
    expect((await eventsOf(account, "billing.subscriptionChanged")).map(({ status }) => status)).toEqual([
      "active",
      "active",
      "active",
      "active",
      "ended",
    ]);
    expect((await subscribe(account, "solo")).subscription?.status).toBe("active");
  });

  test("may be now, and the credit that was paid for stays until its time", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "solo");
    expect(await cancel(account, false)).toMatchObject({ status: "ended" });
    expect(await tierOf(account)).toBe("free");
    expect(await balanceOf(account)).toBe(5_000_000n);
  });
});

describe("a renewal that is refused", () => {
  test("is tried again after 3, 5 and 7 days, and then the tier lapses, once", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "solo");
    await account.useByDefault(await account.saveCard("pm_card_chargeCustomerFail"));
    await passDays(account, 33);
    const [, failed] = await invoicesOf(account);
    expect(failed).toMatchObject({ status: "final", attempts: 1, failureCode: "generic_decline" });
    expect(await tierOf(account)).toBe("solo");
    await passDays(account, 18);
    expect(await tierOf(account)).toBe("free");
    expect((await invoicesOf(account)).map(({ status }) => status)).toEqual(["paid", "void"]);
    const failures = await eventsOf(account, "billing.invoicePaymentFailed");
    expect(failures.map(({ attempts }) => attempts)).toEqual([1, 2, 3, 4]);
    expect(failures.at(-1)).toMatchObject({ nextAttemptAt: null });
    expect(await eventsOf(account, "billing.subscriptionLapsed")).toMatchObject([{ tierId: "solo" }]);
    const mails = await fixture.as().db.select().from(schema.emails).where(eq(schema.emails.template, "paymentFailed"));
    expect(mails.filter((mail) => mail.idempotencyKey.includes(failed?.id ?? "?"))).toHaveLength(4);
    await expectBooksToBalance();
  });

  test("is paid by a better card, and goes on", async () => {
    const account = await fixture.newPayer();
    await subscribe(account, "solo");
    await account.useByDefault(await account.saveCard("pm_card_chargeCustomerFail"));
    await passDays(account, 33);
    await expect(subscribe(account, "pro")).rejects.toMatchObject({ reason: "payment_due" });
    // However often the customer tries in between, the schedule is what it was.
    for (let attempt = 0; attempt < 5; attempt += 1) {
      await expect(resume(account)).rejects.toMatchObject({ reason: "generic_decline" });
    }
    await work(account);
    expect(await tierOf(account)).toBe("solo");
    expect((await invoicesOf(account)).map(({ attempts }) => attempts)).toEqual([0, 1]);
    const answer = await resume(account, account.cardId);
    expect(answer.subscription).toMatchObject({ status: "active", tierId: "solo" });
    expect((await invoicesOf(account)).map(({ status }) => status)).toEqual(["paid", "paid"]);
    expect(await balanceOf(account)).toBe(5_000_000n);
    await passDays(account, 20);
    expect(await tierOf(account)).toBe("solo");
  });
});

const BEGUN = {
  tier: "solo",
  balance: "5000000",
  subscriptions: [{ status: "active", tierId: "solo" }],
  invoices: [{ status: "paid", totalMicros: "10000000", dueMicros: "0" }],
  events: {
    "balance.credited": 1,
    "billing.invoiceFinalized": 1,
    "billing.invoicePaid": 1,
    "billing.subscriptionChanged": 1,
  },
};
const BEGINNING = ["customer.subscription.created", "payment_intent.succeeded", "invoice.paid"];

test.each([
  ["that runs", [...BEGINNING, "customer.subscription.updated"], BEGUN],
  [
    "that has ended",
    [...BEGINNING, "customer.subscription.deleted"],
    { ...BEGUN, tier: "free", subscriptions: [{ status: "ended", tierId: "solo" }] },
  ],
] as const)(
  "every order of the events of a subscription %s, each one to three times, ends in the same state",
  async (name, types, state) => {
    const orders = permutations(types);
    expect(orders).toHaveLength(24);
    const states = new Map<string, number>();
    const SIDE_BY_SIDE = 3;
    for (let start = 0; start < orders.length; start += SIDE_BY_SIDE) {
      const ended = await Promise.all(
        orders
          .slice(start, start + SIDE_BY_SIDE)
          .map((order, index) => liveInOrder(order, start + index, name === "that has ended")),
      );
      for (const one of ended) states.set(one, (states.get(one) ?? 0) + 1);
    }
    expect([...states]).toEqual([[JSON.stringify(state), orders.length]]);
    await expectBooksToBalance();
  },
  600_000,
);

/** Every order of a list. */
function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [item, ...rest]),
  );
}

/** Done again while it is UNAVAILABLE, as every client and the queue of jobs do it. */
async function untilAvailable<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TollgateError) || error.code !== "UNAVAILABLE" || attempt === 30) throw error;
    }
  }
}

/** As Stripe sends it, and as the job does what it asks for. */
async function receive(event: { readonly id: string }): Promise<void> {
  const text = JSON.stringify(event);
  const signature = signatureOf(text, "whsec_of_the_tests", Math.floor(fixture.clock.nowMs() / 1_000));
  const ctx = fixture.pay(SYSTEM);
  await untilAvailable(() => receiveStripeEvent(ctx, { body: Buffer.from(text), signature }));
  await untilAvailable(() => processStripeEvent({ ctx, input: { eventId: event.id }, billing: BILLING_PORT }));
}

/** Somebody's subscription begins at Stripe while nobody here hears the answer; its events come in an order and in copies. */
async function liveInOrder(order: readonly string[], index: number, isEnded: boolean): Promise<string> {
  const account = await fixture.newAccount();
  const { billingAccountId, stripeCustomerId } = account;
  const cardId = await account.saveCard();
  const { client } = fixture.stripe;
  const tier = await requireTier(fixture.as(SYSTEM), "solo");
  const there = await client.subscriptions.create(
    {
      customer: stripeCustomerId,
      default_payment_method: cardId,
      items: [{ price: await ensureTierPrice(fixture.pay(SYSTEM), tier) }],
      metadata: { tollgate_billing_account: billingAccountId, tollgate_subscription: newId("subscription") },
    },
    { idempotencyKey: newId("request") },
  );
  if (isEnded) await client.subscriptions.cancel(there.id, {}, { idempotencyKey: newId("request") });
  const events = fixture.standIn.world.events.filter(({ data }) => data.object["customer"] === stripeCustomerId);
  for (const [position, type] of order.entries()) {
    const event = events.find((one) => one.type === type);
    if (event === undefined) throw new Error(`The subscription had no ${type}`);
    const copies = 1 + ((index + position * 7 + Math.floor(index / 3)) % 3);
    await Promise.all(Array.from({ length: copies }, () => receive(event)));
  }
  const { db } = fixture.as();
  const { invoices, outbox, subscriptions } = schema;
  const rows = await db.select().from(subscriptions).where(eq(subscriptions.billingAccountId, billingAccountId));
  const bills = await db.select().from(invoices).where(eq(invoices.billingAccountId, billingAccountId));
  const sent = (await db.select().from(outbox).where(eq(outbox.kind, "event")).orderBy(outbox.name)).filter(
    ({ payload, name }) => payload["billingAccountId"] === billingAccountId && !name.startsWith("payments."),
  );
  const names: Record<string, number> = {};
  for (const { name } of sent) names[name] = (names[name] ?? 0) + 1;
  return JSON.stringify({
    tier: await tierOf(account),
    balance: String(await balanceOf(account)),
    subscriptions: rows.map(({ status, tierId }) => ({ status, tierId })),
    invoices: bills.map(({ status, totalMicros, dueMicros }) => ({
      status,
      totalMicros: String(totalMicros),
      dueMicros: String(dueMicros),
    })),
    events: names,
  });
}
