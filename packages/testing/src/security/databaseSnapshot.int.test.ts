import type { Database } from "@tollgate/db";
import { createDatabase, schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestDatabase } from "../testDatabase.ts";
import { createTestDatabase } from "../testDatabase.ts";
import { DatabaseSnapshot } from "./databaseSnapshot.ts";

const { customers, sessions } = schema;
const AT = new Date("2026-01-15T12:00:00.123Z");
const person = {
  status: "verified",
  createdAt: AT,
  updatedAt: AT,
  meta: { notes: 'quoted "text"\n', n: 1.5 },
} as const;
const session = { customerId: "cus_a", createdAt: AT, lastUsedAt: AT, expiresAt: AT } as const;

let testDatabase: TestDatabase;
let database: Database;
let snapshot: DatabaseSnapshot;

beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "snapshot-test" });
  await database.db.insert(customers).values({ id: "cus_a", email: "a@example.test", ...person });
  await database.db.insert(sessions).values({ id: "ses_a", refreshHash: "a", ...session });
  snapshot = await DatabaseSnapshot.take(testDatabase.url);
});
afterEach(async () => {
  await snapshot.close();
  await database.close();
  await testDatabase.drop();
});

test("what is new, changed and gone is told, row by row", async () => {
  expect(await snapshot.changes()).toEqual([]);
  await database.db.update(customers).set({ name: "Ada" });
  await database.db.delete(sessions);
  await database.db.insert(customers).values({ id: "cus_b", email: "b@example.test", ...person });
  const changes = await snapshot.changes();
  const told = changes.map(({ table, before, after }) => [table, before !== undefined, after !== undefined]);
  expect(told.sort()).toEqual([
    ["customers", false, true],
    ["customers", true, true],
    ["sessions", true, false],
  ]);
});

test("all of it is put back, also where rows refer to one another", async () => {
  await database.db.delete(sessions);
  await database.db.update(customers).set({ name: "Ada", meta: {} });
  await database.db.insert(customers).values({ id: "cus_b", email: "b@example.test", ...person });
  await database.db.insert(sessions).values({ ...session, id: "ses_b", refreshHash: "b", customerId: "cus_b" });
  await snapshot.restore(await snapshot.changes());
  expect(await snapshot.changes()).toEqual([]);
  expect(await database.db.select().from(customers)).toMatchObject([{ id: "cus_a", name: null, ...person }]);
  const [row] = await database.db.select().from(sessions).where(eq(sessions.id, "ses_a"));
  expect(row).toMatchObject(session);
});
