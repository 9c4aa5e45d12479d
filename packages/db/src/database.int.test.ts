import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, FaultProxy } from "@tollgate/testing";
import { sql } from "drizzle-orm";
import { pgTable, text } from "drizzle-orm/pg-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "./database.ts";
import { withSqlTransaction } from "./transaction.ts";

let testDatabase: TestDatabase;
let proxy: FaultProxy;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  proxy = await FaultProxy.start(testDatabase.url);
});

afterAll(async () => {
  await proxy.stop();
  await testDatabase.drop();
});

describe("a pool of connections", () => {
  it("serves again when the server is back, however many connections were refused meanwhile", async () => {
    const database = createDatabase({ url: proxy.url, applicationName: "outage", connectionsMax: 2 });
    try {
      await database.sql`select 1`;
      await proxy.refuse();
      for (let attempt = 0; attempt < 6; attempt += 1) {
        await expect(database.sql`select 1`).rejects.toThrow();
      }
      await expect(
        withSqlTransaction(database, (sql) => sql`select 1`, { isIdempotent: true, attemptsMax: 3 }),
      ).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await proxy.restore();
      const [row] = await withSqlTransaction(database, (sql) => sql`select 7 as n`, { isIdempotent: true });
      expect(row?.["n"]).toBe(7);
      expect(await Promise.all([1, 2, 3, 4].map((n) => database.sql`select ${n}::int4 as n`))).toEqual(
        [1, 2, 3, 4].map((n) => [{ n }]),
      );
    } finally {
      await database.close();
    }
  });

  it("speaks of time in UTC, whatever time zone the database has", async () => {
    const name = new URL(testDatabase.url).pathname.slice(1);
    const setUp = createDatabase({ url: testDatabase.url, applicationName: "time zone", connectionsMax: 1 });
    await setUp.sql.unsafe(`alter database ${name} set timezone = 'America/St_Johns'`);
    await setUp.close();
    const database = createDatabase({ url: testDatabase.url, applicationName: "time zone", connectionsMax: 1 });
    try {
      const text = "2026-01-15 12:00:00+00";
      expect(await database.sql`select ${text}::timestamptz::text as at`).toEqual([{ at: text }]);
      // Without a zone in the text it is the session's that counts.
      const [row] = await database.sql`select '2026-01-15 12:00:00'::timestamptz as at`;
      expect(row?.["at"]).toEqual(new Date("2026-01-15T12:00:00Z"));
    } finally {
      await database.sql.unsafe(`alter database ${name} reset timezone`);
      await database.close();
    }
  });

  it("gives up a server that has vanished without a word, also in a transaction, and finds it when it is back", async () => {
    const database = createDatabase({
      url: proxy.url,
      applicationName: "silence",
      connectionsMax: 2,
      silenceMsMax: 300,
    });
    const watch = createDatabase({ url: testDatabase.url, applicationName: "watch", connectionsMax: 1 });
    try {
      await database.sql`select 1`;
      proxy.blackHole();
      await expect(database.sql`select 1`).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
      await proxy.restore();
      const inTransaction = withSqlTransaction(
        database,
        async (sql) => {
          await sql`select 1`;
          proxy.blackHole();
          await sql`select 2`;
        },
        { isIdempotent: true, attemptsMax: 1 },
      );
      await expect(inTransaction).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await proxy.restore();
      expect(await Promise.all([1, 2, 3, 4].map((n) => database.sql`select ${n}::int4 as n`))).toEqual(
        [1, 2, 3, 4].map((n) => [{ n }]),
      );
      // Nobody misses a connection that was idle.
      const connections = () => watch.sql`select 1 from pg_stat_activity where application_name = 'silence'`;
      await expect.poll(connections, { timeout: 5_000 }).toEqual([]);
      expect(await database.sql`select 5 as n`).toEqual([{ n: 5 }]);
    } finally {
      await proxy.restore();
      await Promise.all([database.close(), watch.close()]);
    }
  });

  it("runs transactions and drizzle's statements SERIALIZABLE, and a raw statement by itself so that it cannot lose", async () => {
    const database = createDatabase({ url: testDatabase.url, applicationName: "isolation", connectionsMax: 1 });
    try {
      const inTransaction = await withSqlTransaction(database, (tx) => tx`show transaction_isolation`);
      const [ofDrizzle] = await database.db.execute(sql`show transaction_isolation`);
      const seen = [inTransaction[0], ofDrizzle, (await database.sql`show transaction_isolation`)[0]];
      expect(seen.map((row) => row?.["transaction_isolation"])).toEqual([
        "serializable",
        "serializable",
        "read committed",
      ]);
    } finally {
      await database.close();
    }
  });

  it("that never reached its server can be closed", async () => {
    const database = createDatabase({
      url: "postgres://nobody@127.0.0.1:1/none",
      applicationName: "outage",
      connectionsMax: 1,
    });
    await expect(database.sql`select 1`).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(database.sql`select 1`).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await database.close();
  });

  it("repeats a single statement that lost against other transactions, and no other failure", async () => {
    const database = createDatabase({ url: proxy.url, applicationName: "conflicts", connectionsMax: 1 });
    const checks = pgTable("pg_tables", { name: text("tablename") });
    try {
      proxy.failStatements(/from "pg_tables"/, 3);
      expect(await database.db.select().from(checks).limit(1)).toHaveLength(1);
      proxy.failStatements(/select 7/, 3);
      expect([...(await database.db.execute(sql`select 7 as n`))]).toEqual([{ n: 7 }]);
      expect(proxy.ordersLeft).toBe(0);
      await expect(database.db.execute(sql`select 'x'::int4`)).rejects.toMatchObject({ cause: { code: "22P02" } });
    } finally {
      await database.close();
    }
  });
});
