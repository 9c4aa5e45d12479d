import postgres from "postgres";
import { expect, test } from "vitest";
import { createTestDatabase, createTestNamespace } from "./index.ts";

test("each suite gets a migrated database that no other sees, and it is gone after drop", async () => {
  const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  expect(first.url).not.toBe(second.url);
  const sql = postgres(first.url, { max: 1 });
  const other = postgres(second.url, { max: 1 });
  try {
    const tables = await sql<
      { name: string }[]
    >`select table_name as name from information_schema.tables where table_schema = 'public'`;
    expect(tables.map((row) => row.name)).toContain("customers");
    await sql`create table only_here (id text primary key)`;
    const [seen] = await other<{ found: string | null }[]>`select to_regclass('only_here') as found`;
    expect(seen?.found).toBeNull();
  } finally {
    await Promise.all([sql.end(), other.end()]);
  }
  await Promise.all([first.drop(), second.drop()]);
  const gone = postgres(first.url, { max: 1 });
  await expect(gone`select 1`).rejects.toMatchObject({ code: "3D000" });
  await gone.end();
});

test("namespaces of two suites share no name and no Redis database", async () => {
  const [first, second] = await Promise.all([createTestNamespace(), createTestNamespace()]);
  expect(first.id).not.toBe(second.id);
  expect(first.redisUrl).not.toBe(second.redisUrl);
  expect(first.subjectPrefix).toMatch(/^[a-z0-9]+$/);
});
