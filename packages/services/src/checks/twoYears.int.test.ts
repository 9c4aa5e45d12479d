import { schema } from "@tollgate/db";
import { testSize } from "@tollgate/testing";
import { signatureOf } from "@tollgate/testing/stripe";
import { asc, eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SYSTEM } from "../../test/serviceFixture.ts";
import { SimulatedAccount, seededRandom } from "../../test/simulatedPeople.ts";
import { drainJobs, runSweeps } from "../../test/simulatedWorkers.ts";
import type { StripeFixture } from "../../test/stripeFixture.ts";
import { createStripeFixture, insertLendingTier } from "../../test/stripeFixture.ts";
import { micros } from "../../test/usageFixture.ts";
import { BILLING_PORT } from "../billing/index.ts";
import { receiveStripeEvent, reconcilePayments } from "../payments/index.ts";
import { checkBooks } from "./index.ts";

/**
 * P9: with the clock in hand, accounts live for as long as one likes: they sign up, pay, call, change tiers, are refused,
 * disputed and refunded, and their months end. Chance decides, and the seed decides chance. All of it is 50 accounts of 730
 * days: `TEST_YEARS_ACCOUNTS=50 TEST_YEARS_DAYS=730`.
 */
const ACCOUNTS = testSize("TEST_YEARS_ACCOUNTS", 2);
const DAYS = testSize("TEST_YEARS_DAYS", 70);
const SEED = testSize("TEST_YEARS_SEED", 20_260_115);
const DAY_MS = 86_400_000;

let fixture: StripeFixture;
beforeAll(async () => {
  fixture = await createStripeFixture();
  await insertLendingTier(fixture, { monthlyPriceMicros: micros(20_000_000), creditLimitMicros: micros(10_000_000) });
});
afterAll(async () => {
  await fixture?.close();
});

/** Stripe tells of what has happened in any order, some of it twice and a tenth of it never. */
async function tellNews(random: () => number, told: Set<string>): Promise<void> {
  const news = fixture.standIn.world.events.filter(({ id }) => !told.has(id));
  for (const { id } of news) told.add(id);
  const sent = news
    .filter(() => random() < 0.9)
    .flatMap((event) => (random() < 0.2 ? [event, event] : [event]))
    .map((event) => ({ event, place: random() }))
    .sort((a, b) => a.place - b.place);
  for (const { event } of sent) {
    const text = JSON.stringify(event);
    const signature = signatureOf(text, "whsec_of_the_tests", Math.floor(fixture.clock.nowMs() / 1_000));
    await receiveStripeEvent(fixture.pay(SYSTEM), { body: Buffer.from(text), signature });
  }
  await drainJobs(fixture);
}

const wrongBooks = async () => (await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok);

test(
  `${ACCOUNTS} accounts live ${DAYS} days, and the books agree on each of them`,
  async () => {
    const random = seededRandom(SEED);
    const people: SimulatedAccount[] = [];
    const told = new Set<string>();
    for (let day = 0; day < DAYS; day += 1) {
      fixture.clock.advanceMs(DAY_MS);
      fixture.standIn.catchUp();
      // Everybody has come by the end of the first tenth.
      while (people.length < Math.min(ACCOUNTS, Math.ceil(((day + 1) * ACCOUNTS * 10) / DAYS))) {
        people.push(new SimulatedAccount(fixture, random, await fixture.newAccount()));
      }
      for (const person of people) await person.liveOneDay();
      await tellNews(random, told);
      await runSweeps(fixture);
      expect(await wrongBooks(), `day ${day} of seed ${SEED}`).toEqual([]);
    }
    // A last day on which every lost word is heard of.
    fixture.clock.advanceMs(DAY_MS);
    fixture.standIn.catchUp();
    await runSweeps(fixture);
    const { db } = fixture.as();
    for (const { account } of people) await expectToAgree(db, account.billingAccountId, account.stripeCustomerId);
    await reconcilePayments({ ctx: fixture.pay(SYSTEM), billing: BILLING_PORT });
    const differences = await db.select().from(schema.paymentDifferences);
    expect(differences.filter(({ isHealed }) => !isHealed)).toEqual([]);
    expect(await wrongBooks()).toEqual([]);
  },
  60 * 60_000,
);

/** One subscription at most runs and gives the tier, no period is paid twice, and the usage's periods tile. */
async function expectToAgree(
  db: ReturnType<StripeFixture["as"]>["db"],
  billingAccountId: string,
  customer: string,
): Promise<void> {
  const { billingAccounts, invoices, subscriptions } = schema;
  const there = (await fixture.stripe.client.subscriptions.list({ customer, status: "all", limit: 100 })).data;
  const running = there.filter(({ status }) => ["active", "past_due", "unpaid"].includes(status));
  const here = await db.select().from(subscriptions).where(eq(subscriptions.billingAccountId, billingAccountId));
  const live = here.filter(({ endedAt }) => endedAt === null);
  expect(running.length).toBeLessThanOrEqual(1);
  expect(live.map((row) => row.stripeSubscriptionId)).toEqual(running.map(({ id }) => id));
  const [account] = await db.select().from(billingAccounts).where(eq(billingAccounts.id, billingAccountId));
  expect(account?.tierId).toBe(live[0]?.tierId ?? "free");
  const bills = await db
    .select()
    .from(invoices)
    .where(eq(invoices.billingAccountId, billingAccountId))
    .orderBy(asc(invoices.periodStart));
  const usage = bills.filter(({ kind }) => kind === "usage");
  for (const [index, bill] of usage.slice(1).entries()) expect(bill.periodStart).toEqual(usage[index]?.periodEnd);
  const renewals = fixture.standIn.world.invoices
    .filter((one) => one.customer === customer && one.billing_reason === "subscription_cycle" && one.status === "paid")
    .map((one) => JSON.stringify([one.parent?.subscription_details?.subscription, one.lines.data[0]?.period.start]));
  expect(new Set(renewals).size).toBe(renewals.length);
}
