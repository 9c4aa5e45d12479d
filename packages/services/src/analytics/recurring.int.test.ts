import { schema } from "@tollgate/db";
import { toMicros } from "@tollgate/kernel";
import { and, eq, gte } from "drizzle-orm";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { PayingAccount, StripeFixture } from "../../test/stripeFixture.ts";
import { createStripeFixture } from "../../test/stripeFixture.ts";
import {
  cancelSubscription,
  collectInvoice,
  followSubscription,
  subscribeTier,
  sweepCollections,
} from "../billing/index.ts";
import { checkBooks } from "../checks/index.ts";
import { readSummary } from "./index.ts";

/** What recurs is what is billed each month: as the invoices say, and not as accounts happen to be. */
vi.setConfig({ testTimeout: 240_000 });
const DAY_MS = 86_400_000;
const { invoices, subscriptions, tiers } = schema;
let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
});
afterAll(async () => {
  await fixture?.close();
});

const mrr = async (): Promise<bigint> => {
  const input = { from: fixture.clock.now(), to: new Date(fixture.clock.nowMs() + 1) };
  return (await readSummary({ ctx: fixture.as(OPERATOR), input })).mrrMicros;
};

async function newSubscriber(tierId: string): Promise<PayingAccount> {
  const account = await fixture.newPayer();
  await subscribe(account, tierId);
  return account;
}
const subscribe = ({ admin, billingAccountId }: PayingAccount, tierId: string) =>
  subscribeTier({ ctx: fixture.pay(admin), input: { billingAccountId, tierId, cardId: undefined } });

/** What the workers do by the clock, for every subscription. */
async function work(): Promise<void> {
  const ctx = fixture.pay(SYSTEM);
  await sweepCollections({ ctx });
  for (const { id } of await ctx.db.select().from(subscriptions)) {
    await followSubscription({ ctx, input: { subscriptionId: id } });
  }
  for (const { id } of await ctx.db.select().from(invoices)) await collectInvoice({ ctx, input: { invoiceId: id } });
}

async function billedSince(since: Date): Promise<bigint> {
  const { db } = fixture.as();
  const rows = await db
    .select()
    .from(invoices)
    .where(and(eq(invoices.kind, "subscription"), eq(invoices.status, "paid"), gte(invoices.periodStart, since)));
  return rows.reduce((sum, { totalMicros }) => sum + totalMicros, 0n);
}

/** Gives a subscription another price at Stripe, as one does in its dashboard. */
async function reprice(
  { stripeCustomerId }: PayingAccount,
  tierId: string,
  cents: number,
  months: number,
): Promise<void> {
  const { client } = fixture.stripe;
  const [subscription] = (await client.subscriptions.list({ customer: stripeCustomerId })).data;
  const [item] = subscription?.items.data ?? [];
  if (subscription === undefined || item === undefined) throw new Error("There is no subscription");
  const recurring =
    months === 12 ? { interval: "year" as const } : { interval: "month" as const, interval_count: months };
  const price = await client.prices.create({
    ...{ currency: "usd", unit_amount: cents, recurring, product_data: { name: "Special" } },
    metadata: { tollgate_tier: tierId },
  });
  await client.subscriptions.update(subscription.id, {
    items: [{ id: item.id, price: price.id }],
    proration_behavior: "none",
  });
}

test("what recurs is what active subscriptions are billed for a month, and an account's tier by itself is nothing", async () => {
  const granted = await fixture.newAccount();
  const { billingAccounts } = schema;
  const { db } = fixture.as();
  await db.update(billingAccounts).set({ tierId: "business" }).where(eq(billingAccounts.id, granted.billingAccountId));
  expect(await mrr()).toBe(0n);

  const startedAt = fixture.clock.now();
  const [solo, pro] = [await newSubscriber("solo"), await newSubscriber("pro")];
  expect(await mrr()).toBe(10_000_000n + 49_000_000n);
  expect(await billedSince(startedAt)).toBe(await mrr());

  // Who comes later pays what the tier costs then; who was there pays what was agreed.
  await db
    .update(tiers)
    .set({ monthlyPriceMicros: toMicros(12_500_000n) })
    .where(eq(tiers.id, "solo"));
  await newSubscriber("solo");
  expect(await mrr()).toBe(10_000_000n + 49_000_000n + 12_500_000n);

  for (let day = 0; day < 32; day += 1) {
    fixture.clock.advanceMs(DAY_MS);
    fixture.standIn.catchUp();
  }
  await work();
  expect(await billedSince(new Date(startedAt.getTime() + DAY_MS))).toBe(await mrr());

  await reprice(solo, "solo", 9_000, 3);
  await reprice(pro, "pro", 50_000, 12);
  await work();
  // 90 a quarter, 500 a year, and who came later.
  expect(await mrr()).toBe(30_000_000n + 41_666_666n + 12_500_000n);

  await cancelSubscription({
    ctx: fixture.pay(solo.admin),
    input: { billingAccountId: solo.billingAccountId, atPeriodEnd: false },
  });
  expect(await mrr()).toBe(41_666_666n + 12_500_000n);
  await db.update(billingAccounts).set({ isInternal: true }).where(eq(billingAccounts.id, pro.billingAccountId));
  expect(await mrr()).toBe(12_500_000n);
  expect((await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok)).toEqual([]);
});

test("a subscription that Stripe has not been asked about since counts with the price of its tier", async () => {
  const before = await mrr();
  const account = await newSubscriber("pro");
  const { db } = fixture.as();
  const isTheirs = eq(subscriptions.billingAccountId, account.billingAccountId);
  await db.update(subscriptions).set({ priceMicros: null, priceMonths: null }).where(isTheirs);
  expect(await mrr()).toBe(before + 49_000_000n);
  await db.update(subscriptions).set({ status: "past_due" }).where(isTheirs);
  expect(await mrr()).toBe(before);
});
