import { newId } from "@tollgate/kernel";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { dismissRun } from "../admin/index.ts";
import {
  closeHolder,
  closeRun,
  HOLDER_GRACE_MS,
  HOLDER_LIFETIME_MS,
  leaseBudgets,
  openHolder,
  renewHolder,
  sweepHolders,
  testCallsBudgetId,
} from "../budgets/index.ts";
import { checkPipeline } from "./checkPipeline.ts";

/** A gateway that dies may have calls on its disk, which nobody counts until it is back. */
let fixture: ServiceFixture;
beforeEach(async () => {
  await fixture?.close();
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const system = () => fixture.as(SYSTEM);

async function foldStage() {
  await system().database.sql`update outbox set sent_at = now()`;
  return (await checkPipeline({ ctx: system() })).find(({ stage }) => stage === "fold");
}

async function announced(): Promise<unknown[]> {
  const rows = await system().database.sql`
    select name from outbox where name like 'usage.pipeline%' order by appended_at`;
  return rows.map((row) => row["name"]);
}

/** A run of a gateway that spends, and what it said of its spool before it was killed. */
async function vanishedRun(unfolded: number, { isSpending = true } = {}): Promise<string> {
  const { database } = system();
  const { clock } = fixture;
  const runId = newId("gateway");
  await openHolder(database, clock, `${runId}.0`);
  if (isSpending) await spend(`${runId}.0`);
  await renewHolder(database, clock, `${runId}.0`, { unfolded, folded: 100 });
  clock.advanceMs(HOLDER_LIFETIME_MS + HOLDER_GRACE_MS + 1);
  await sweepHolders(database, clock);
  return runId;
}

async function spend(holderId: string): Promise<void> {
  const { id, billingAccountId } = await insertProject(fixture);
  await leaseBudgets({
    database: system().database,
    clock: fixture.clock,
    holderId,
    requests: [
      {
        budgetId: testCallsBudgetId(id, "2026-01-01"),
        kind: "test_calls",
        billingAccountId,
        returnedTotal: 0n,
        demand: 5n,
        granule: 1n,
        want: 5n,
      },
    ],
    expireDueGrants: () => Promise.reject(new Error("Nothing expires here")),
  });
}

const STALLED = "usage.pipelineStalled";
const RECOVERED = "usage.pipelineRecovered";

test.each([
  ["calls that it knew of", 7],
  ["leases, whatever it had said last", 0],
])(
  "the alarm goes on when a gateway is given up that vanished with %s, until it was replayed",
  async (_with, calls) => {
    const runId = await vanishedRun(calls);
    for (let hour = 0; hour < 3; hour += 1) {
      expect(await foldStage()).toMatchObject({ isStalled: true, waiting: calls, vanishedRuns: [runId] });
      fixture.clock.advanceMs(3_600_000);
      await sweepHolders(system().database, fixture.clock);
    }
    expect(await announced()).toEqual([STALLED]);
    await closeRun(system().database, fixture.clock, runId);
    expect(await foldStage()).toMatchObject({ isStalled: false, waiting: 0, vanishedRuns: [] });
    expect(await announced()).toEqual([STALLED, RECOVERED]);
  },
);

test("the alarm ends when the gateway was only out of reach and begins anew, whose spool it then speaks of", async () => {
  const runId = await vanishedRun(7);
  const other = await vanishedRun(1);
  expect((await foldStage())?.vanishedRuns).toEqual([runId, other].sort());
  await openHolder(system().database, fixture.clock, `${runId}.1`);
  expect(await foldStage()).toMatchObject({ isStalled: true, vanishedRuns: [other] });
  await closeRun(system().database, fixture.clock, other);
  await renewHolder(system().database, fixture.clock, `${runId}.1`, { unfolded: 7, folded: 100 });
  fixture.clock.advanceMs(3 * 60_000);
  expect(await foldStage()).toMatchObject({ isStalled: true, waiting: 7, vanishedRuns: [] });
});

test("the alarm ends when an operator says that a gateway does not come back, which is audited", async () => {
  const runId = await vanishedRun(7);
  expect((await foldStage())?.isStalled).toBe(true);
  await expect(dismissRun({ ctx: fixture.as(), input: { runId } })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const ctx = fixture.as(OPERATOR);
  expect(await dismissRun({ ctx, input: { runId } })).toEqual({ count: 1 });
  expect(await dismissRun({ ctx, input: { runId } })).toEqual({ count: 0 });
  expect((await foldStage())?.isStalled).toBe(false);
  const audits = await ctx.database.sql`select action, before from audit_log where subject = ${runId}`;
  expect(audits).toEqual([{ action: "admin.dismissRun", before: { unfolded: 7 } }]);
});

test("nothing is said of a gateway that ended in order or held nothing, and a living one cannot be dismissed", async () => {
  const { database } = system();
  const holderId = `${newId("gateway")}.0`;
  await openHolder(database, fixture.clock, holderId);
  await spend(holderId);
  await renewHolder(database, fixture.clock, holderId, { unfolded: 3, folded: 100 });
  await closeHolder(database, fixture.clock, holderId);
  await vanishedRun(0, { isSpending: false });
  expect(await foldStage()).toMatchObject({ isStalled: false, waiting: 0, vanishedRuns: [] });
  const living = newId("gateway");
  await openHolder(database, fixture.clock, `${living}.0`);
  await renewHolder(database, fixture.clock, `${living}.0`, { unfolded: 3, folded: 0 });
  expect(await dismissRun({ ctx: fixture.as(OPERATOR), input: { runId: living } })).toEqual({ count: 0 });
  fixture.clock.advanceMs(3 * 60_000);
  expect((await foldStage())?.isStalled).toBe(true);
});
