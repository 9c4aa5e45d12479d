import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { creditWallet, settleAccount } from "../balance/index.ts";
import { closePeriods } from "../billing/index.ts";
import {
  endpointFreeBudgetId,
  keyCapBudgetId,
  projectCapBudgetId,
  testCallsBudgetId,
  tierFreeBudgetId,
  walletBudgetId,
} from "../budgets/index.ts";
import { BOOK_CHECKS, checkBooks } from "./index.ts";

let fixture: ServiceFixture;
let account: { billingAccountId: string; projectId: string };

beforeAll(async () => {
  fixture = await createServiceFixture();
  const project = await insertProject(fixture);
  account = { billingAccountId: project.billingAccountId, projectId: project.id };
  const ctx = fixture.as(SYSTEM);
  await creditWallet(ctx, {
    billingAccountId: account.billingAccountId,
    micros: micros(1_000n),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
  });
  const call = { ...account, endpointId: "ep_00000001", chargedMicros: micros(10n) };
  await makeCalls(fixture, [{ ...call, at: fixture.clock.now() }]);
  fixture.clock.advanceMs(3_600_000);
  const before = new Date(fixture.clock.nowMs() - (fixture.clock.nowMs() % 3_600_000));
  await settleAccount({ ctx, input: { billingAccountId: account.billingAccountId, before } });
  // A period that ends soon, so that the calls of it are still there to be compared.
  await ctx.db
    .update(schema.billingAccounts)
    .set({ periodAnchor: "2026-01-16" })
    .where(eq(schema.billingAccounts.id, account.billingAccountId));
  const at = new Date("2026-01-16T01:00:00Z");
  fixture.clock.set(at);
  await closePeriods({ ctx, input: { billingAccountIds: [account.billingAccountId], at: at.toISOString() } });
  await makeCalls(fixture, [{ ...call, at }]);
  await drawOnQuotas(at);
  await ctx.database.sql`
    insert into budget_holders (id, created_at, expires_at, closed_at) values ('gw_closed.0', ${at}, ${at}, '2026-01-15')`;
  await ctx.database.sql`
    insert into budget_leases (budget_id, holder_id, granted, settled, returned, updated_at)
    values (${walletBudgetId(account.billingAccountId)}, 'gw_closed.0', 0, 0, 0, ${at})`;
});
afterAll(() => fixture.close());

/** A call out of every quota, and one under two caps. */
async function drawOnQuotas(at: Date): Promise<void> {
  const { billingAccountId, projectId } = account;
  const keyId = newId("key");
  const key = { id: keyId, rootKeyId: keyId, projectId, name: "k", hash: keyId, start: "tgl_live_000", scopes: ["*"] };
  const state = { mode: "live", status: "active", createdBy: "test", createdAt: at, updatedAt: at } as const;
  await fixture
    .as()
    .db.insert(schema.keys)
    .values({ ...key, ...state });
  const call = { ...account, keyId, endpointId: "ep_00000001", at, chargedMicros: micros(0n) };
  const ids = {
    tier_free: tierFreeBudgetId(billingAccountId, "2026-01"),
    endpoint_free: endpointFreeBudgetId(billingAccountId, "ep_00000001", "2026-01"),
    test_calls: testCallsBudgetId(projectId, "2026-01-16"),
    project_cap: projectCapBudgetId(projectId, "2026-01"),
    key_cap: keyCapBudgetId(keyId, "2026-01"),
  };
  for (const [kind, id] of Object.entries(ids)) {
    // A cap begins with what the month has cost so far: two calls.
    const used = kind === "project_cap" ? 20 : 0;
    await fixture.as().database.sql`
      insert into budgets (id, kind, billing_account_id, limit_amount, used, created_at, updated_at)
      values (${id}, ${kind}, ${billingAccountId}, 1000, ${used}, ${at}, ${at})`;
  }
  const caps = [walletBudgetId(billingAccountId), ids.project_cap, ids.key_cap];
  await makeCalls(fixture, [
    { ...call, outcome: "free", draws: `${ids.tier_free}=1` },
    { ...call, outcome: "quota", draws: `${ids.endpoint_free}=1` },
    { ...call, mode: "test", outcome: "test", draws: `${ids.test_calls}=1` },
    { ...call, chargedMicros: micros(7n), draws: caps.map((id) => `${id}=7`).join(",") },
    // Failed, and so out of no quota.
    { ...call, outcome: "failed", status: 502 },
  ]);
}

test("books that the product wrote balance, by every check", async () => {
  const results = await checkBooks({ ctx: fixture.as(SYSTEM) });
  expect(results.map((result) => [result.check, result.differences])).toEqual(
    BOOK_CHECKS.map((check) => [check.name, []]),
  );
});

/** For each check a change of a single number that it must see, and how to undo it. */
const WRONGS: Record<(typeof BOOK_CHECKS)[number]["name"], (delta: number) => string[]> = {
  transactions_balance: (delta) => [
    `update ledger_entries set amount_micros = amount_micros + ${delta} where account = 'funding:paid'`,
  ],
  wallet_posted: (delta) => [`update budgets set limit_amount = limit_amount + ${delta} where kind = 'wallet'`],
  wallet_accrued: (delta) => [`update budgets set used = used + ${delta} where kind = 'wallet'`],
  budgets_held: (delta) => [`update budgets set held = held + ${delta} where kind = 'wallet'`],
  // Held on both sides, by one who was closed and did not give back all.
  leases_open: (delta) => [
    `update budgets set held = held + ${delta} where kind = 'wallet'`,
    `update budget_leases set granted = granted + ${delta} where holder_id = 'gw_closed.0'`,
  ],
  tier_free_used: (delta) => [`update budgets set used = used + ${delta} where kind = 'tier_free'`],
  endpoint_free_used: (delta) => [`update budgets set used = used - ${delta} where kind = 'endpoint_free'`],
  test_calls_used: (delta) => [`update budgets set used = used + ${delta} where kind = 'test_calls'`],
  project_cap_used: (delta) => [`update budgets set used = used + ${delta} where kind = 'project_cap'`],
  key_cap_used: (delta) => [`update budgets set used = used + ${delta} where kind = 'key_cap'`],
  grants_remaining: (delta) => [`update grants set remaining_micros = remaining_micros - ${delta}`],
  grants_consumed: (delta) => [`update grant_consumptions set amount_micros = amount_micros + ${delta}`],
  usage_accrued: (delta) => [
    `update usage_hourly set charged_micros = charged_micros + ${delta} where hour = (select min(hour) from usage_hourly)`,
  ],
  calls_charged: (delta) => [
    `update calls set charged_micros = charged_micros + ${delta} where started_at = (select min(started_at) from calls)`,
  ],
  calls_counted: (delta) => [
    `update usage_hourly set calls = calls + ${delta} where hour = (select min(hour) from usage_hourly)`,
  ],
  invoice_totals: (delta) => [`update invoices set total_micros = total_micros + ${delta}`],
  // The total goes with the line, so that only the ledger disagrees.
  invoice_ledger: (delta) => [
    `update invoice_lines set amount_micros = amount_micros + ${delta}`,
    `update invoices set total_micros = total_micros + ${delta}`,
  ],
  settled_revenue: (delta) => [
    `update ledger_entries set amount_micros = amount_micros + ${delta} where account = 'revenue:usage'`,
  ],
};

test.each(BOOK_CHECKS.map((check) => check.name))("%s sees a single micro that is wrong", async (name) => {
  const ctx = fixture.as(SYSTEM);
  const run = async (delta: number) => {
    for (const statement of WRONGS[name](delta)) await ctx.db.execute(sql.raw(statement));
  };
  await run(1);
  try {
    const result = (await checkBooks({ ctx })).find((each) => each.check === name);
    expect(result?.ok).toBe(false);
    expect(result?.differences).toHaveLength(1);
    const [difference] = result?.differences ?? [];
    const distance = BigInt(difference?.left ?? 0) - BigInt(difference?.right ?? 0);
    expect(distance === 1n || distance === -1n).toBe(true);
  } finally {
    await run(-1);
  }
});

test("a call in the instant in which a period ends is of either, and a change of the time zone is no difference", async () => {
  const ctx = fixture.as(SYSTEM);
  const { id: projectId, billingAccountId } = await insertProject(fixture);
  const call = {
    projectId,
    billingAccountId,
    endpointId: "ep_00000001",
    chargedMicros: micros(0n),
    mode: "test" as const,
  };
  const day = testCallsBudgetId(projectId, "2026-01-15");
  const make = (at: string) => makeCalls(fixture, [{ ...call, at: new Date(at), outcome: "test", draws: `${day}=1` }]);
  await ctx.database.sql`
    insert into budgets (id, kind, billing_account_id, limit_amount, created_at, updated_at)
    values (${day}, 'test_calls', ${billingAccountId}, 1000, now(), now())`;
  const differences = async () =>
    (await checkBooks({ ctx })).find((result) => result.check === "test_calls_used")?.differences;
  await make("2026-01-15T12:00:00Z");
  await make("2026-01-16T00:00:00.001Z");
  await make("2026-01-14T23:59:59.999Z");
  expect(await differences()).toEqual([]);
  await make("2026-01-16T00:30:00Z");
  expect(await differences()).toEqual([{ subject: day, left: "4", right: "3" }]);
  await ctx.db
    .update(schema.billingAccounts)
    .set({ timeZone: "Europe/London", updatedAt: new Date("2026-01-15T13:00:00Z") })
    .where(eq(schema.billingAccounts.id, billingAccountId));
  expect(await differences()).toEqual([]);
});

describe("where an account's hours are not those of UTC", () => {
  /** The instant from which on raw calls are compared with usage. */
  const EDGE_MS = Date.parse("2025-12-18T01:00:00Z");
  const minutes = (count: number) => new Date(EDGE_MS + count * 60_000);
  let subject: string;
  let move: (timeZone: string) => PromiseLike<unknown>;

  beforeAll(async () => {
    const ctx = fixture.as(SYSTEM);
    const { id: projectId, billingAccountId } = await insertProject(fixture);
    subject = projectId;
    move = (timeZone) =>
      ctx.db.update(schema.billingAccounts).set({ timeZone }).where(eq(schema.billingAccounts.id, billingAccountId));
    const call = { projectId, billingAccountId, endpointId: "ep_00000001", chargedMicros: micros(0n) };
    const make = (...at: number[]) =>
      makeCalls(
        fixture,
        at.map((count) => ({ ...call, at: minutes(count) })),
      );
    await move("Asia/Kolkata");
    // Two of an hour that is under way at the edge, and two of later ones.
    await make(-20, 10, 40, 100);
  });

  const differences = async (name: "calls_counted" | "calls_charged") =>
    (await checkBooks({ ctx: fixture.as(SYSTEM) })).find((result) => result.check === name)?.differences;

  test("an hour that is under way at the edge is no difference, and one after it that is wrong or gone is", async () => {
    const { sql } = fixture.as().database;
    expect(await differences("calls_counted")).toEqual([]);
    expect(await differences("calls_charged")).toEqual([]);
    for (const [hour, left, right] of [
      [minutes(30), "2", "3"],
      [minutes(90), "2", "3"],
    ] as const) {
      await sql`update usage_hourly set calls = calls + 1 where project_id = ${subject} and hour = ${hour}`;
      expect(await differences("calls_counted")).toEqual([{ subject, left, right }]);
      await sql`update usage_hourly set calls = calls - 1 where project_id = ${subject} and hour = ${hour}`;
    }
    // All that usage has of the project after the edge, and then all of it.
    const gone = await sql`delete from usage_hourly where project_id = ${subject} and hour > ${minutes(0)} returning *`;
    expect(await differences("calls_counted")).toEqual([{ subject, left: "2", right: "0" }]);
    const first = await sql`delete from usage_hourly where project_id = ${subject} returning *`;
    expect(await differences("calls_counted")).toEqual([{ subject, left: "3", right: "0" }]);
    for (const row of [...gone, ...first]) await sql`insert into usage_hourly ${sql(row)}`;
    expect(await differences("calls_counted")).toEqual([]);
  });

  test("hours of the zone that the account had before are no difference either", async () => {
    const { billingAccountId } = (
      await fixture.as().db.select().from(schema.projects).where(eq(schema.projects.id, subject))
    )[0] ?? { billingAccountId: "" };
    const call = { projectId: subject, billingAccountId, endpointId: "ep_00000001", chargedMicros: micros(0n) };
    for (const timeZone of ["UTC", "Asia/Kathmandu"]) {
      await move(timeZone);
      await makeCalls(
        fixture,
        [-40, -10, 5, 20, 35, 50, 65, 110, 200].map((count) => ({ ...call, at: minutes(count) })),
      );
      expect(await differences("calls_counted")).toEqual([]);
    }
    // From the first instant on at which no hour of any of the zones is under way, all is compared.
    const { sql } = fixture.as().database;
    await sql`update usage_hourly set calls = calls + 1 where project_id = ${subject} and hour = ${minutes(195)}`;
    expect(await differences("calls_counted")).toEqual([{ subject, left: "2", right: "3" }]);
    await sql`update usage_hourly set calls = calls - 1 where project_id = ${subject} and hour = ${minutes(195)}`;
  });
});

test("the checks are for operators and services", async () => {
  await expect(checkBooks({ ctx: fixture.as() })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
