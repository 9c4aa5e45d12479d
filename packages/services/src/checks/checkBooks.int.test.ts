import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { creditWallet, settleAccount } from "../balance/index.ts";
import { closePeriods } from "../billing/index.ts";
import { walletBudgetId } from "../budgets/index.ts";
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
  await ctx.database.sql`
    insert into budget_holders (id, created_at, expires_at, closed_at) values ('gw_closed.0', ${at}, ${at}, '2026-01-15')`;
  await ctx.database.sql`
    insert into budget_leases (budget_id, holder_id, granted, settled, returned, updated_at)
    values (${walletBudgetId(account.billingAccountId)}, 'gw_closed.0', 0, 0, 0, ${at})`;
});
afterAll(() => fixture.close());

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

test("the checks are for operators and services", async () => {
  await expect(checkBooks({ ctx: fixture.as() })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});
