import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { newCallId, newId, systemClock } from "@tollgate/kernel";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, FaultProxy } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { closeHolder, leaseBudgets, openHolder, walletBudgetId } from "../budgets/index.ts";
import { callRecordSubject, formatFinishedCall, RECORD_SEPARATOR } from "./callRecord.ts";
import { foldCalls, SourceGapError } from "./foldCalls.ts";
import { readFoldedMarks } from "./sources.ts";

const PRICE = 1_000;

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "fold test", connectionsMax: 12 });
});

afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

/** An account with credit, leased in full by one gateway run. */
async function leasedAccount(credit: bigint, leased: bigint) {
  const account = {
    id: newId("billingAccount"),
    project: newId("project"),
    key: newId("key"),
    endpoint: newId("endpoint"),
  };
  const holderId = `${newId("gateway")}.0`;
  const budgetId = walletBudgetId(account.id);
  await database.sql`
    insert into budgets (id, kind, billing_account_id, limit_amount, overdraft, used, held, created_at, updated_at)
    values (${budgetId}, 'wallet', ${account.id}, ${credit.toString()}, 0, 0, 0, now(), now())`;
  await openHolder(database, systemClock, holderId);
  await leaseBudgets({
    database,
    clock: systemClock,
    holderId,
    expireDueGrants: () => Promise.reject(new Error("Nothing expires here")),
    requests: [
      {
        budgetId,
        kind: "wallet",
        billingAccountId: account.id,
        returnedTotal: 0n,
        demand: leased,
        granule: BigInt(PRICE),
        want: leased,
      },
    ],
  });
  const subject = callRecordSubject(holderId, account.id, account.project, account.key, account.endpoint, "live");
  const source = `${holderId.slice(0, -2)}/0`;
  const record = (sequence: number): string =>
    `${sequence} ${formatFinishedCall(subject, {
      id: newCallId(Date.parse("2026-03-01T10:30:00Z") + sequence),
      outcome: "charged",
      status: 200,
      latencyMs: 12,
      units: 1,
      unitPriceMicros: PRICE,
      chargedMicros: PRICE,
      requestBytes: 0,
      responseBytes: 15,
      draws: `${budgetId}=${PRICE}`,
    })}`;
  return { ...account, holderId, budgetId, source, record };
}

type Account = Awaited<ReturnType<typeof leasedAccount>>;

async function readBooks(account: Account) {
  const [row] = await database.sql`
    select
      (select count(*) from calls where billing_account_id = ${account.id}) as calls,
      (select coalesce(sum(calls), 0) from usage_hourly where billing_account_id = ${account.id}) as counted,
      (select coalesce(sum(charged_micros), 0) from usage_hourly where billing_account_id = ${account.id}) as charged,
      (select coalesce(sum(amount_micros), 0) from accruals where billing_account_id = ${account.id}) as accrued,
      (select used from budgets where id = ${account.budgetId}) as used,
      (select held from budgets where id = ${account.budgetId}) as held`;
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
}

const lines = (account: Account, from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => account.record(from + index)).join(RECORD_SEPARATOR);

describe("folding calls", () => {
  it("counts and charges every call of a batch once, in the raw calls, the hourly usage, the accruals and the budget", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const result = await foldCalls(database, systemClock, {
      source: account.source,
      sequence: 1,
      records: lines(account, 1, 20),
    });
    expect(result).toEqual({
      through: 20,
      calls: 20,
      projectIds: [account.project],
      billingAccountIds: [account.id],
    });
    expect(await readBooks(account)).toEqual({
      calls: 20,
      counted: 20,
      charged: 20_000,
      accrued: 20_000,
      used: 20_000,
      held: 30_000,
    });
  });

  it("changes nothing when a batch comes again, whole or cut differently", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const all = lines(account, 1, 30).split(RECORD_SEPARATOR);
    const fold = (from: number, to: number) =>
      foldCalls(database, systemClock, {
        source: account.source,
        sequence: from,
        records: all.slice(from - 1, to).join(RECORD_SEPARATOR),
      });
    await fold(1, 10);
    await fold(1, 10);
    await fold(5, 20);
    await fold(1, 20);
    await fold(21, 30);
    expect(await fold(3, 30)).toEqual({ through: 30, calls: 0, projectIds: [], billingAccountIds: [] });
    expect(await readBooks(account)).toMatchObject({
      calls: 30,
      counted: 30,
      charged: 30_000,
      used: 30_000,
      held: 20_000,
    });
  });

  it("counts a batch once when several workers fold it at the same time", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const batch = { source: account.source, sequence: 1, records: lines(account, 1, 25) };
    const results = await Promise.all(Array.from({ length: 6 }, () => foldCalls(database, systemClock, batch)));
    expect(results.reduce((sum, result) => sum + result.calls, 0)).toBe(25);
    expect(await readBooks(account)).toMatchObject({ calls: 25, counted: 25, used: 25_000, held: 25_000 });
  });

  it("refuses a batch whose predecessor is missing, so that nothing is skipped", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const batch = { source: account.source, sequence: 11, records: lines(account, 11, 15) };
    await expect(foldCalls(database, systemClock, batch)).rejects.toBeInstanceOf(SourceGapError);
    expect(await readFoldedMarks(database, [account.source])).toEqual(new Map([[account.source, 0]]));
    expect(await readBooks(account)).toMatchObject({ calls: 0, used: 0 });
  });

  it("charges a batch that comes after its gateway's leases were given up, once, and marks it late", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    await closeHolder(database, systemClock, account.holderId);
    expect(await readBooks(account)).toMatchObject({ held: 0, used: 0 });
    const batch = { source: account.source, sequence: 1, records: lines(account, 1, 5) };
    await foldCalls(database, systemClock, batch);
    await foldCalls(database, systemClock, batch);
    expect(await readBooks(account)).toMatchObject({ calls: 5, used: 5_000, held: 0 });
    const batches = await database.sql`select is_late from usage_batches where source = ${account.source}`;
    expect(batches.map((row) => row["is_late"])).toEqual([true]);
  });

  it("keeps used and held right while batches are folded and the gateway's leases are given up at the same time", async () => {
    const account = await leasedAccount(1_000_000n, 500_000n);
    const all = lines(account, 1, 100).split(RECORD_SEPARATOR);
    const foldAll = async (): Promise<void> => {
      for (let from = 1; from <= 100; from += 10) {
        const records = all.slice(from - 1, from + 9).join(RECORD_SEPARATOR);
        await foldCalls(database, systemClock, { source: account.source, sequence: from, records });
      }
    };
    const close = () => closeHolder(database, systemClock, account.holderId);
    await Promise.all([foldAll(), close(), close(), foldAll(), close()]);
    expect(await readBooks(account)).toMatchObject({ calls: 100, charged: 100_000, used: 100_000, held: 0 });
  });

  it("folds exactly once while commits fail, connections break and answers of COMMIT are lost", async () => {
    const account = await leasedAccount(1_000_000n, 500_000n);
    const proxy = await FaultProxy.start(testDatabase.url);
    const faulty = createDatabase({ url: proxy.url, applicationName: "faulty fold", connectionsMax: 4 });
    try {
      const all = lines(account, 1, 120).split(RECORD_SEPARATOR);
      for (let from = 1; from <= 120; from += 10) {
        const round = (from - 1) / 10;
        if (round % 3 === 0) proxy.failCommits(1);
        if (round % 3 === 1) proxy.cutAtCommit("before");
        if (round % 3 === 2) proxy.cutAtCommit("after");
        const records = all.slice(from - 1, from + 9).join(RECORD_SEPARATOR);
        await foldCalls(faulty, systemClock, { source: account.source, sequence: from, records });
      }
      expect(proxy.ordersLeft).toBe(0);
      expect(await readBooks(account)).toEqual({
        calls: 120,
        counted: 120,
        charged: 120_000,
        accrued: 120_000,
        used: 120_000,
        held: 380_000,
      });
    } finally {
      await faulty.close();
      await proxy.stop();
    }
  });

  it("comes to an end and folds once when the copying of the raw calls itself fails", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const proxy = await FaultProxy.start(testDatabase.url);
    const faulty = createDatabase({ url: proxy.url, applicationName: "faulty copy", connectionsMax: 2 });
    try {
      proxy.failStatements(/copy calls/i, 2);
      await foldCalls(faulty, systemClock, { source: account.source, sequence: 1, records: lines(account, 1, 15) });
      expect(proxy.ordersLeft).toBe(0);
      expect(await readBooks(account)).toMatchObject({ calls: 15, counted: 15, used: 15_000, held: 35_000 });
    } finally {
      await faulty.close();
      await proxy.stop();
    }
  });

  it("says so when the database refuses the copied rows at their end, instead of waiting for ever", async () => {
    const account = await leasedAccount(100_000n, 50_000n);
    const records = lines(account, 1, 3);
    const [first = ""] = records.split(RECORD_SEPARATOR);
    const twice = first.replace(/^1 /, "2 ");
    const batch = { source: account.source, sequence: 1, records: [first, twice].join(RECORD_SEPARATOR) };
    // The same call twice: its key is taken when the rows are checked.
    await expect(foldCalls(database, systemClock, batch)).rejects.toMatchObject({ code: "23505" });
    expect(await readBooks(account)).toMatchObject({ calls: 0, used: 0, held: 50_000 });
  });

  it("lets batches of many accounts be folded side by side without getting in each other's way", async () => {
    const accounts = await Promise.all(Array.from({ length: 40 }, () => leasedAccount(100_000n, 50_000n)));
    const rounds = Array.from({ length: 3 }, (_, round) => round);
    for (const round of rounds) {
      await Promise.all(
        accounts.map((account) =>
          foldCalls(database, systemClock, {
            source: account.source,
            sequence: round * 10 + 1,
            records: lines(account, round * 10 + 1, round * 10 + 10),
          }),
        ),
      );
    }
    for (const account of accounts) {
      expect(await readBooks(account)).toMatchObject({ calls: 30, counted: 30, used: 30_000, held: 20_000 });
    }
  });
});
