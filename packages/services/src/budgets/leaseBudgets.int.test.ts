import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { newId, systemClock, TestClock, toMicros } from "@tollgate/kernel";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, FaultProxy } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServiceFixture, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { creditWallet, expireDueGrants as takeOffExpired } from "../balance/index.ts";
import { tierFreeBudgetId, walletBudgetId } from "./budgetIds.ts";
import {
  closeHolder,
  closeRun,
  HOLDER_GRACE_MS,
  HOLDER_LIFETIME_MS,
  openHolder,
  renewHolder,
  sweepHolders,
} from "./holders.ts";
import type { LeaseRequest } from "./leaseBudgets.ts";
import { leaseBudgets } from "./leaseBudgets.ts";

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "lease test", connectionsMax: 16 });
});

afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

async function walletOf(limit: bigint): Promise<{ billingAccountId: string; budgetId: string }> {
  const billingAccountId = newId("billingAccount");
  const budgetId = walletBudgetId(billingAccountId);
  await database.sql`
    insert into budgets (id, kind, billing_account_id, limit_amount, overdraft, used, held, created_at, updated_at)
    values (${budgetId}, 'wallet', ${billingAccountId}, ${limit.toString()}, 0, 0, 0, now(), now())`;
  return { billingAccountId, budgetId };
}

async function newHolder(): Promise<string> {
  const holderId = `${newId("gateway")}.0`;
  await openHolder(database, systemClock, holderId);
  return holderId;
}

const ask = (
  wallet: { billingAccountId: string; budgetId: string },
  demand: bigint,
  returnedTotal = 0n,
): LeaseRequest => ({ ...wallet, kind: "wallet", returnedTotal, demand, granule: 1_000n, want: demand });

const expireDueGrants = (): Promise<never> => Promise.reject(new Error("Nothing expires here"));

const heldOf = async (budgetId: string): Promise<bigint> => {
  const [row] = await database.sql`select held from budgets where id = ${budgetId}`;
  return BigInt(String(row?.["held"]));
};

describe("leasing budgets", () => {
  it("never grants more than the budget has, however many gateways ask at once", async () => {
    const wallet = await walletOf(100_000n);
    const holders = await Promise.all(Array.from({ length: 8 }, newHolder));
    const granted = await Promise.all(
      holders.flatMap((holderId) =>
        Array.from({ length: 5 }, () =>
          leaseBudgets({ database, clock: systemClock, holderId, requests: [ask(wallet, 7_000n)], expireDueGrants }),
        ),
      ),
    );
    const totals = new Map<string, bigint>();
    for (const [index, [result]] of granted.entries()) {
      const holderId = String(holders[Math.floor(index / 5)]);
      const total = result?.grantedTotal ?? 0n;
      if (total > (totals.get(holderId) ?? 0n)) totals.set(holderId, total);
    }
    const sum = [...totals.values()].reduce((left, right) => left + right, 0n);
    expect(sum).toBe(100_000n);
    expect(await heldOf(wallet.budgetId)).toBe(100_000n);
  });

  it("says the same about what was given back, however often it is told", async () => {
    const wallet = await walletOf(50_000n);
    const holderId = await newHolder();
    const lease = (request: LeaseRequest) =>
      leaseBudgets({ database, clock: systemClock, holderId, requests: [request], expireDueGrants });
    await lease(ask(wallet, 20_000n));
    for (let time = 0; time < 3; time += 1) await lease(ask(wallet, 0n, 15_000n));
    expect(await heldOf(wallet.budgetId)).toBe(5_000n);
  });

  it("does not let a gateway give back more than it has", async () => {
    const wallet = await walletOf(50_000n);
    const [first, second] = await Promise.all([newHolder(), newHolder()]);
    await leaseBudgets({
      database,
      clock: systemClock,
      holderId: first,
      requests: [ask(wallet, 20_000n)],
      expireDueGrants,
    });
    await leaseBudgets({
      database,
      clock: systemClock,
      holderId: second,
      requests: [ask(wallet, 0n, 99_000n)],
      expireDueGrants,
    });
    expect(await heldOf(wallet.budgetId)).toBe(20_000n);
  });

  it("keeps granted and held equal when the answer of COMMIT is lost", async () => {
    const wallet = await walletOf(1_000_000n);
    const holderId = await newHolder();
    const proxy = await FaultProxy.start(testDatabase.url);
    const faulty = createDatabase({ url: proxy.url, applicationName: "faulty lease", connectionsMax: 2 });
    try {
      let granted = 0n;
      for (const moment of ["after", "before", "after"] as const) {
        proxy.cutAtCommit(moment);
        const [result] = await leaseBudgets({
          database: faulty,
          clock: systemClock,
          holderId,
          requests: [ask(wallet, 3_000n)],
          expireDueGrants,
        });
        granted = result?.grantedTotal ?? 0n;
      }
      // After a lost answer the work is done again: the gateway sees both slices in the total, and owns both.
      expect(granted).toBe(15_000n);
      expect(await heldOf(wallet.budgetId)).toBe(granted);
    } finally {
      await faulty.close();
      await proxy.stop();
    }
  });

  it("takes the limit of a quota from the tier, not from what the gateway believes", async () => {
    const billingAccountId = newId("billingAccount");
    await database.sql`
      insert into tiers (id, display_name, rank, monthly_price_micros, free_calls_per_month, rate_limit_per_second, overage, credit_limit_micros)
      values ('tiny', 'Tiny', 9, 0, 5, 10, 'block', 0) on conflict do nothing`;
    await database.sql`
      insert into billing_accounts (id, name, tier_id, created_at, updated_at) values (${billingAccountId}, 'a', 'tiny', now(), now())`;
    const holderId = await newHolder();
    const request: LeaseRequest = {
      budgetId: tierFreeBudgetId(billingAccountId, "2026-11"),
      kind: "tier_free",
      billingAccountId,
      believedLimit: 1_000_000n,
      returnedTotal: 0n,
      demand: 50n,
      granule: 1n,
      want: 50n,
    };
    const [result] = await leaseBudgets({
      database,
      clock: systemClock,
      holderId,
      requests: [request],
      expireDueGrants,
    });
    expect(result?.grantedTotal).toBe(5n);
  });

  it("grants nothing to a gateway whose leases were given up, and tells it so", async () => {
    const wallet = await walletOf(50_000n);
    const holderId = await newHolder();
    await leaseBudgets({ database, clock: systemClock, holderId, requests: [ask(wallet, 20_000n)], expireDueGrants });
    await closeHolder(database, systemClock, holderId);
    expect(await heldOf(wallet.budgetId)).toBe(0n);
    expect(await renewHolder(database, systemClock, holderId)).toBe(false);
    await expect(
      leaseBudgets({ database, clock: systemClock, holderId, requests: [ask(wallet, 1_000n)], expireDueGrants }),
    ).rejects.toMatchObject({ reason: "holder_closed" });
  });

  it("gives back the leases of a gateway that vanished, after the grace and not before", async () => {
    const wallet = await walletOf(50_000n);
    const clock = new TestClock("2026-06-01T00:00:00Z");
    const holderId = `${newId("gateway")}.0`;
    await openHolder(database, clock, holderId);
    await leaseBudgets({ database, clock, holderId, requests: [ask(wallet, 20_000n)], expireDueGrants });
    clock.advanceMs(HOLDER_LIFETIME_MS + HOLDER_GRACE_MS - 1);
    await sweepHolders(database, clock);
    expect(await heldOf(wallet.budgetId)).toBe(20_000n);
    clock.advanceMs(2);
    await sweepHolders(database, clock);
    expect(await heldOf(wallet.budgetId)).toBe(0n);
  });

  it.each([
    ["before any lease came back", 1],
    ["between two lots of leases", 2],
  ])("gives back all that a gateway held although closing it was cut %s", async (_when, commitsBefore) => {
    const wallets = await Promise.all(Array.from({ length: 501 }, () => walletOf(50_000n)));
    const holderId = await newHolder();
    await leaseBudgets({
      database,
      clock: systemClock,
      holderId,
      requests: wallets.map((wallet) => ask(wallet, 20_000n)),
      expireDueGrants,
    });
    const held = async (): Promise<number> => {
      const ids = wallets.map(({ budgetId }) => budgetId);
      const [row] = await database.sql`select count(*) as n from budgets where id = any(${ids}) and held > 0`;
      return Number(row?.["n"]);
    };
    const proxy = await FaultProxy.start(testDatabase.url);
    const dying = createDatabase({ url: proxy.url, applicationName: "dying", connectionsMax: 2 });
    try {
      proxy.cutAtCommit("before", 1_000, commitsBefore);
      await expect(closeHolder(dying, systemClock, holderId)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    } finally {
      await dying.close();
      await proxy.stop();
    }
    expect(await held()).toBe(commitsBefore === 1 ? 501 : 1);
    expect(await renewHolder(database, systemClock, holderId)).toBe(false);
    await sweepHolders(database, systemClock);
    expect(await held()).toBe(0);
  });

  it("gives back what a run held that was closed already, when its calls are replayed", async () => {
    const wallet = await walletOf(50_000n);
    const holderId = await newHolder();
    await leaseBudgets({ database, clock: systemClock, holderId, requests: [ask(wallet, 20_000n)], expireDueGrants });
    const neighbour = await newHolder();
    await leaseBudgets({
      database,
      clock: systemClock,
      holderId: neighbour,
      requests: [ask(wallet, 5_000n)],
      expireDueGrants,
    });
    await database.sql`update budget_holders set closed_at = now() where id = ${holderId}`;
    await closeRun(database, systemClock, holderId.slice(0, -2));
    expect(await heldOf(wallet.budgetId)).toBe(5_000n);
  });

  it("gives everything back once, however many close a gateway at the same time", async () => {
    const wallet = await walletOf(100_000n);
    const holders = await Promise.all([newHolder(), newHolder()]);
    for (const holderId of holders) {
      await leaseBudgets({ database, clock: systemClock, holderId, requests: [ask(wallet, 20_000n)], expireDueGrants });
    }
    const [closed = ""] = holders;
    await Promise.all([
      ...Array.from({ length: 6 }, () => closeHolder(database, systemClock, closed)),
      sweepHolders(database, systemClock),
      closeRun(database, systemClock, closed.slice(0, -2)),
    ]);
    expect(await heldOf(wallet.budgetId)).toBe(20_000n);
  });

  it("does not lease credit from the moment it expires, whether or not the sweep has been there", async () => {
    const fixture = await createServiceFixture();
    try {
      const ctx = fixture.as(SYSTEM);
      fixture.clock.set("2026-06-01T10:50:00Z");
      const { billingAccountId } = await insertProject(fixture);
      const credit = { billingAccountId, reference: "credit", visible: true } as const;
      const expiresAt = new Date("2026-06-01T11:00:00Z");
      await creditWallet(ctx, {
        ...credit,
        micros: toMicros(10_000n),
        source: "promo",
        idempotencyKey: "a",
        expiresAt,
      });
      await creditWallet(ctx, { ...credit, micros: toMicros(5_000n), source: "paid", idempotencyKey: "b" });
      const holderId = `${newId("gateway")}.0`;
      await openHolder(ctx.database, ctx.clock, holderId);
      const wallet = { billingAccountId, budgetId: walletBudgetId(billingAccountId) };
      const lease = (demand: bigint, returnedTotal: bigint) =>
        leaseBudgets({
          database: ctx.database,
          clock: ctx.clock,
          holderId,
          requests: [ask(wallet, demand, returnedTotal)],
          expireDueGrants: (id) => takeOffExpired({ ctx, input: { billingAccountId: id } }),
        });
      const [before] = await lease(12_000n, 0n);
      expect(before).toMatchObject({ grantedTotal: 12_000n, spendableUntilMs: expiresAt.getTime() });
      fixture.clock.set("2026-06-01T11:00:00Z");
      const [after] = await lease(12_000n, 12_000n);
      expect((after?.grantedTotal ?? 0n) - 12_000n).toBe(5_000n);
      expect(after?.spendableUntilMs).toBeUndefined();
    } finally {
      await fixture.close();
    }
  });
});
