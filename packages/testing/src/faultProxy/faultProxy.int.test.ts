import type { Sql } from "postgres";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TestDatabase } from "../testDatabase.ts";
import { createTestDatabase } from "../testDatabase.ts";
import { FaultProxy } from "./faultProxy.ts";

let database: TestDatabase;
let proxy: FaultProxy;
let direct: Sql;
let sql: Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  direct = postgres(database.url, { max: 2 });
  await direct`create table notes (id text primary key)`;
  proxy = await FaultProxy.start(database.url);
});
afterAll(async () => {
  await direct.end();
  await proxy.stop();
  await database.drop();
});
beforeEach(async () => {
  await direct`delete from notes`;
  sql = postgres(proxy.url, { max: 1, idle_timeout: 1, backoff: false });
});
afterEach(async () => {
  await proxy.restore();
  await sql.end({ timeout: 0 });
});

const stored = async (): Promise<string[]> =>
  (await direct<{ id: string }[]>`select id from notes order by id`).map((row) => row.id);
const insert = (id: string): Promise<unknown> => sql.begin((tx) => tx`insert into notes values (${id})`);
/** The same transaction in the simple protocol. */
async function insertSimply(id: string): Promise<void> {
  const connection = await sql.reserve();
  try {
    for (const text of ["begin", `insert into notes values ('${id}')`, "commit"])
      await connection.unsafe(text).simple();
  } finally {
    connection.release();
  }
}

test("without faults everything passes, large results and pipelined queries included", async () => {
  await insert("a");
  const [row] = await sql<{ text: string }[]>`select repeat('x', 3000000) as text`;
  expect(row?.text.length).toBe(3_000_000);
  const numbers = await Promise.all([1, 2, 3, 4, 5].map((number) => sql<{ n: number }[]>`select ${number}::int as n`));
  expect(numbers.map(([result]) => result?.n)).toEqual([1, 2, 3, 4, 5]);
  expect(await stored()).toEqual(["a"]);
});

describe.each([
  ["extended", insert],
  ["simple", insertSimply],
] as const)("in the %s protocol", (_name, write) => {
  test("a connection cut before COMMIT leaves nothing, and the client gets an error", async () => {
    proxy.cutAtCommit("before");
    await expect(write("a")).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|CONNECTION_CLOSED/) });
    expect(await stored()).toEqual([]);
    await write("b");
    expect(await stored()).toEqual(["b"]);
  });

  test("a connection cut after COMMIT leaves everything, and the client gets an error all the same", async () => {
    proxy.cutAtCommit("after");
    await expect(write("a")).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|CONNECTION_CLOSED/) });
    expect(await stored()).toEqual(["a"]);
  });

  test("a cut that is to come later lets the COMMITs before it pass", async () => {
    proxy.cutAtCommit("before", 1, 2);
    await write("a");
    await write("b");
    await expect(write("c")).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|CONNECTION_CLOSED/) });
    expect(await stored()).toEqual(["a", "b"]);
  });

  test("failed COMMITs answer 40001 exactly as often as ordered, and roll back", async () => {
    proxy.failCommits(2);
    await expect(write("a")).rejects.toMatchObject({ code: "40001" });
    await expect(write("a")).rejects.toMatchObject({ code: "40001" });
    expect(await stored()).toEqual([]);
    await write("a");
    expect(await stored()).toEqual(["a"]);
    expect(proxy.ordersLeft).toBe(0);
  });

  test("a failed statement fails its transaction as PostgreSQL would, and the connection stays good", async () => {
    proxy.failStatements(/insert into notes/i, 1);
    const connection = await sql.reserve();
    const run = (text: string) =>
      write === insert ? connection.unsafe(text, [], { prepare: true }) : connection.unsafe(text).simple();
    await run("begin");
    await expect(run("insert into notes values ('a')")).rejects.toMatchObject({ code: "40001" });
    await expect(run("select 1")).rejects.toMatchObject({ code: "25P02" });
    await run("rollback");
    await run("insert into notes values ('b')");
    connection.release();
    expect(await stored()).toEqual(["b"]);
  });

  test("a statement that fails outside a transaction leaves the connection outside one", async () => {
    proxy.failStatements(/insert into notes/i, 1);
    const run = (text: string) =>
      write === insert ? sql.unsafe(text, [], { prepare: true }) : sql.unsafe(text).simple();
    await expect(run("insert into notes values ('a')")).rejects.toMatchObject({ code: "40001" });
    await run("insert into notes values ('b')");
    expect(await stored()).toEqual(["b"]);
  });
});

test("a prepared COMMIT is recognised when it is bound again without being parsed again", async () => {
  const commitsBefore = proxy.commits;
  for (const id of ["a", "b", "c"]) await insert(id);
  expect(proxy.commits - commitsBefore).toBe(3);
});

test("dropped connections fail what is in flight, and the next query gets a new one", async () => {
  const sleeping = sql`select pg_sleep(30)`.execute();
  await expect
    .poll(
      async () =>
        (await direct`select 1 from pg_stat_activity where query like 'select pg_sleep(30)%' and state = 'active'`)
          .length,
    )
    .toBe(1);
  proxy.dropConnections();
  await expect(sleeping).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|CONNECTION_CLOSED/) });
  await insert("a");
  expect(await stored()).toEqual(["a"]);
});

test("a refusing proxy refuses until it is restored", async () => {
  await proxy.refuse();
  await expect(insert("a")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await proxy.restore();
  await insert("a");
  expect(await stored()).toEqual(["a"]);
});

test("a black hole answers nothing and closes nothing; what it held arrives when it is restored", async () => {
  await sql`select 1`;
  proxy.blackHole();
  let isAnswered = false;
  const writing = insert("a").then(() => {
    isAnswered = true;
  });
  // The direct connection does several round trips meanwhile.
  for (let round = 0; round < 20; round++) expect(await stored()).toEqual([]);
  expect(isAnswered).toBe(false);
  await proxy.restore();
  await writing;
  expect(await stored()).toEqual(["a"]);
});

test("a slow proxy delays each way", async () => {
  await sql`select 1`;
  proxy.slowDown(60);
  const startedAt = performance.now();
  await sql`select 1`;
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(115);
});
