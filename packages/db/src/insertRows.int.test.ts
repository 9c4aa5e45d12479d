import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase } from "@tollgate/testing";
import { asc, eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database } from "./database.ts";
import { createDatabase } from "./database.ts";
import { databaseErrorCode } from "./errorCodes.ts";
import { inPipeline } from "./inPipeline.ts";
import { insertRows } from "./insertRows.ts";
import { ledgerEntries, ledgerTransactions } from "./schema/balance.ts";
import { withSqlTransaction } from "./transaction.ts";

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "rows test", connectionsMax: 2 });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const AT = new Date("2026-03-01T12:34:56.789Z");
const transaction = (id: string) => ({
  ...{
    id,
    billingAccountId: "ba_1",
    kind: "credit" as const,
    idempotencyKey: id,
    requestHash: "",
    actor: "system:test",
  },
  ...{ reference: `"quoted", {braced} and a \\`, isVisible: false, createdAt: AT },
});

test("rows come back as they went in: large amounts, instants, JSON, nulls and odd characters", async () => {
  await insertRows(database.db, ledgerTransactions, [transaction("txn_1"), transaction("txn_2")]);
  const detail = {
    ...{ hour: AT.toISOString(), projectId: "prj_ä", endpointId: 'ep_"', unitPriceMicros: "1", calls: 3, units: "9" },
  };
  const entries = [0, 1].map((line) => ({
    ...{ transactionId: "txn_1", line, account: "wallet:ba_1", createdAt: AT },
    ...{ amountMicros: (line === 0 ? 9_007_199_254_740_993n : -9_007_199_254_740_993n) as never },
    ...{ detail: line === 0 ? detail : null },
  }));
  await insertRows(database.db, ledgerEntries, entries);
  const read = database.db.select().from(ledgerEntries).where(eq(ledgerEntries.transactionId, "txn_1"));
  expect(await read.orderBy(asc(ledgerEntries.line))).toEqual(entries);
  const [head] = await database.db.select().from(ledgerTransactions).where(eq(ledgerTransactions.id, "txn_2"));
  expect(head).toEqual({ ...transaction("txn_2"), correctsId: null });
});

test("no rows are no statement", async () => {
  await insertRows(database.db, ledgerTransactions, []);
});

test("rows that name different columns are refused, so that nothing of one is lost", async () => {
  const rows = [transaction("txn_3"), { ...transaction("txn_4"), correctsId: "txn_3" }];
  await expect(insertRows(database.db, ledgerTransactions, rows)).rejects.toThrow("different columns");
  await expect(insertRows(database.db, ledgerTransactions, rows.reverse())).rejects.toThrow("different columns");
});

test("a list with an item that has no text of its own is refused", async () => {
  for (const item of [undefined, {}, ["nested"]]) {
    await expect(database.sql`select ${["a", item] as string[]}::text[]`).rejects.toThrow(TypeError);
  }
});

test("lists reach the database as they are", async () => {
  const texts = ["", "null", 'a"b', "a\\b", "{a,b}", "ä €", "a'b"];
  const [row] =
    await database.sql`select to_json(${texts}::text[]) as texts, to_json(${["1", "2"]}::int8[]) as numbers`;
  expect(row).toEqual({ texts, numbers: [1, 2] });
});

test("statements on the wire together say what went wrong, not that the rest was given up", async () => {
  const failing = withSqlTransaction(database, (sql) => {
    const first = sql`select 1 / 0`.execute();
    const second = sql`select 1`.execute();
    return inPipeline([second, first]);
  });
  expect(databaseErrorCode(await failing.catch((error: unknown) => error))).toBe("22012");
  const answers = await withSqlTransaction(database, (sql) =>
    inPipeline([sql<{ n: number }[]>`select 1 as n`, sql<{ n: number }[]>`select 2 as n`]),
  );
  expect(answers.map(([row]) => row?.n)).toEqual([1, 2]);
});
