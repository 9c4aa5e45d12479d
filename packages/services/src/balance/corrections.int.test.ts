import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { newId, TollgateError } from "@tollgate/kernel";
import { and, eq, inArray } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { checkBooks } from "../checks/index.ts";
import type { Credit } from "./index.ts";
import {
  announceLevels,
  creditWallet,
  decrementBalance,
  readBalance,
  reverseTransaction,
  setLowBalanceAlert,
  settleAccount,
} from "./index.ts";

const HOUR_MS = 3_600_000;
let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const operator = () => fixture.as(OPERATOR);
const newAccount = async () => {
  const project = await insertProject(fixture);
  return { billingAccountId: project.billingAccountId, projectId: project.id };
};
type Account = Awaited<ReturnType<typeof newAccount>>;
const credit = (account: Account, amount: number, more: Partial<Credit> = {}) => {
  fixture.clock.advanceMs(1);
  return creditWallet(fixture.as(SYSTEM), {
    billingAccountId: account.billingAccountId,
    micros: micros(amount),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
    ...more,
  });
};
async function spend(account: Account, amount: number): Promise<string> {
  await makeCalls(fixture, [
    { ...account, endpointId: "ep_00000001", at: fixture.clock.now(), chargedMicros: micros(amount) },
  ]);
  fixture.clock.advanceMs(HOUR_MS);
  const before = new Date(fixture.clock.nowMs() - (fixture.clock.nowMs() % HOUR_MS));
  const { transactionId } = await settleAccount({ ctx: fixture.as(SYSTEM), input: { ...account, before } });
  if (transactionId === null) throw new Error("Nothing was settled");
  return transactionId;
}
const reverse = (account: Account, transactionId: string, amount?: number, idempotencyKey: string = newId("job")) =>
  reverseTransaction({
    ctx: operator(),
    input: {
      billingAccountId: account.billingAccountId,
      transactionId,
      reference: "Our fault",
      visible: true,
      idempotencyKey,
      ...(amount === undefined ? {} : { micros: micros(amount) }),
    },
  });
const balanceOf = ({ billingAccountId }: Account) =>
  readBalance({ ctx: fixture.as(SYSTEM), input: { billingAccountId } });
const remaining = async (account: Account) =>
  Object.fromEntries((await balanceOf(account)).grants.map((grant) => [grant.source, Number(grant.remainingMicros)]));
const reasonOf = async (work: Promise<unknown>) => {
  try {
    await work;
  } catch (error) {
    if (error instanceof TollgateError) return error.reason;
    throw error;
  }
  return "none";
};
const expectBooksToBalance = async () =>
  expect((await checkBooks({ ctx: fixture.as(SYSTEM) })).filter((result) => !result.ok)).toEqual([]);

test("usage that is given back goes to the credit it came from, what was spent last first", async () => {
  const account = await newAccount();
  await credit(account, 50, { source: "promo" });
  await credit(account, 30, { source: "subscription" });
  await credit(account, 100, { source: "paid" });
  const settlement = await spend(account, 120);
  expect(await remaining(account)).toEqual({ paid: 60 });
  await reverse(account, settlement, 50);
  expect(await remaining(account)).toEqual({ subscription: 10, paid: 100 });
  expect(await reasonOf(reverse(account, settlement, 71))).toBe("already_reversed");
  expect(await reverse(account, settlement)).toMatchObject({ kind: "refund", amountMicros: 70n });
  expect(await remaining(account)).toEqual({ promo: 50, subscription: 30, paid: 100 });
  expect(await reasonOf(reverse(account, settlement))).toBe("already_reversed");
  await expectBooksToBalance();
});

test("twenty refunds at once of one settlement never give back more than it took", async () => {
  const account = await newAccount();
  await credit(account, 100);
  const settlement = await spend(account, 95);
  const reasons = await Promise.all(Array.from({ length: 20 }, () => reasonOf(reverse(account, settlement, 10))));
  expect(reasons.filter((reason) => reason === "none")).toHaveLength(9);
  const answers = await Promise.all(Array.from({ length: 5 }, () => reverse(account, settlement, 5, "same")));
  expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
  expect((await balanceOf(account)).balance).toBe(100n);
  await expectBooksToBalance();
});

test("what was used without credit is made good by its refund before anything is granted", async () => {
  const account = await newAccount();
  await credit(account, 40);
  const settlement = await spend(account, 100);
  expect((await balanceOf(account)).balance).toBe(-60n);
  await reverse(account, settlement, 80);
  expect((await balanceOf(account)).balance).toBe(20n);
  expect(await remaining(account)).toEqual({ paid: 20 });
  await expectBooksToBalance();
});

test("a refund to credit that has expired since cannot be spent", async () => {
  const account = await newAccount();
  await credit(account, 40, { source: "promo", expiresAt: new Date(fixture.clock.nowMs() + HOUR_MS) });
  const settlement = await spend(account, 30);
  fixture.clock.advanceMs(3 * HOUR_MS);
  await reverse(account, settlement);
  expect((await balanceOf(account)).balance).toBe(0n);
  await expectBooksToBalance();
});

test("a reversed credit is taken from its own grant first, whole or not at all, and once", async () => {
  const account = await newAccount();
  await credit(account, 50, { source: "promo" });
  const wrong = await credit(account, 30, { source: "adjustment" });
  expect(await reasonOf(reverse(account, wrong.id, 10))).toBe("already_reversed");
  const done = await reverse(account, wrong.id, undefined, "once");
  expect(done).toMatchObject({ kind: "reversal", amountMicros: -30n });
  expect(await reverse(account, wrong.id, undefined, "once")).toEqual(done);
  expect(await remaining(account)).toEqual({ promo: 50 });
  expect(await reasonOf(reverse(account, wrong.id))).toBe("already_reversed");
  const spent = await credit(account, 10);
  await decrementBalance({
    ctx: operator(),
    input: {
      billingAccountId: account.billingAccountId,
      micros: micros(55),
      reference: "r",
      visible: true,
      idempotencyKey: "d",
    },
  });
  expect(await reasonOf(reverse(account, spent.id))).toBe("insufficient_credit");
  expect(await reasonOf(reverse(await newAccount(), spent.id))).toBe("transaction_not_found");
  expect(await reasonOf(reverse(account, done.id))).toBe("not_reversible");
  await expectBooksToBalance();
});

test("an account without a threshold is told at the deployment's, if it ever had as much and has not turned it off", async () => {
  const accounts = [await newAccount(), await newAccount(), await newAccount(), await newAccount()] as const;
  const [usual, poor, silent, own] = accounts;
  for (const account of [usual, silent, own]) await credit(account, 1_000);
  await credit(poor, 90);
  const set = ({ billingAccountId }: { billingAccountId: string }, thresholdMicros: Micros | null) =>
    setLowBalanceAlert({ ctx: operator(), input: { billingAccountId, thresholdMicros } });
  await set(silent, null);
  await set(own, micros(10));
  for (const account of [usual, silent, own]) {
    await makeCalls(fixture, [
      { ...account, endpointId: "ep_00000001", at: fixture.clock.now(), chargedMicros: micros(950) },
    ]);
  }
  const ctx = fixture.as(SYSTEM, { lowBalanceMicros: 100n });
  await announceLevels({ ctx });
  await announceLevels({ ctx });
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "balance.low"));
  const told = rows.map((row) => row.payload["billingAccountId"]);
  expect(accounts.map(({ billingAccountId }) => told.filter((id) => id === billingAccountId).length)).toEqual([
    1, 0, 0, 0,
  ]);
});

test("running low and running empty are announced once a crossing, by however many who look", async () => {
  const account = await newAccount();
  const { billingAccountId } = account;
  const events = async () => {
    const runs = [fixture.as(SYSTEM), fixture.otherProcess(SYSTEM), fixture.as(SYSTEM)];
    await Promise.all(runs.map((ctx) => announceLevels({ ctx })));
    const rows = await fixture
      .as()
      .db.select()
      .from(schema.outbox)
      .where(and(inArray(schema.outbox.name, ["balance.low", "balance.exhausted"])));
    return rows
      .filter((row) => row.payload["billingAccountId"] === billingAccountId)
      .map((row) => row.name)
      .sort();
  };
  const use = (amount: number) =>
    makeCalls(fixture, [
      { ...account, endpointId: "ep_00000001", at: fixture.clock.now(), chargedMicros: micros(amount) },
    ]);
  const set = (thresholdMicros: number) =>
    setLowBalanceAlert({ ctx: operator(), input: { billingAccountId, thresholdMicros: micros(thresholdMicros) } });
  await set(50);
  await credit(account, 100);
  expect(await events()).toEqual([]);
  await use(60);
  expect(await events()).toEqual(["balance.low"]);
  await set(50);
  await use(40);
  expect(await events()).toEqual(["balance.exhausted", "balance.low"]);
  await credit(account, 10);
  expect(await events()).toHaveLength(2);
  await use(10);
  expect(await events()).toEqual(["balance.exhausted", "balance.exhausted", "balance.low"]);
  const stranger = await insertMember(fixture, account.projectId, "viewer");
  await expect(
    setLowBalanceAlert({ ctx: fixture.as(stranger), input: { billingAccountId, thresholdMicros: null } }),
  ).rejects.toMatchObject({ code: "NOT_FOUND" });
  const levels = await fixture
    .as()
    .db.select()
    .from(schema.balanceLevels)
    .where(eq(schema.balanceLevels.billingAccountId, billingAccountId));
  expect(levels).toMatchObject([{ isLow: true, isExhausted: true, thresholdMicros: 50n }]);
});
