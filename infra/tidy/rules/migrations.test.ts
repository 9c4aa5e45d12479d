import { expect, test } from "vitest";
import { treeOf } from "../sourceTree.ts";
import { migrations } from "./migrations.ts";

const check = (name: string, sql: string) => migrations.check(treeOf({ [`packages/db/migrations/${name}.sql`]: sql }));

test("a migration that both engines take alike passes", async () => {
  expect(await check("0001_add-invites", "CREATE TABLE invites (id text PRIMARY KEY);")).toEqual([]);
});

test("one that CockroachDB would take otherwise is refused, with its line", async () => {
  const sql =
    "CREATE TABLE a (id text PRIMARY KEY);\n--> statement-breakpoint\nCREATE TABLE b (id serial PRIMARY KEY);";
  expect(await check("0001_add-invites", sql)).toEqual([
    expect.objectContaining({ line: 3, message: expect.stringContaining("no-sequences") }),
  ]);
});

test("a migration without a name that says what it does is refused", async () => {
  expect(await check("0001", "SELECT 1")).toHaveLength(1);
});
