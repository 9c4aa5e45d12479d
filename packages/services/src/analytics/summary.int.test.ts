import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import {
  createServiceFixture,
  customerActor,
  insertMember,
  insertProject,
  OPERATOR,
  SYSTEM,
} from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { creditWallet, settleAccount } from "../balance/index.ts";
import { readSummary } from "./index.ts";

let fixture: ServiceFixture;
let from: Date;
beforeAll(async () => {
  fixture = await createServiceFixture();
  from = fixture.clock.now();
});
afterAll(() => fixture.close());

const summary = () =>
  readSummary({ ctx: fixture.as(OPERATOR), input: { from, to: new Date(fixture.clock.nowMs() + 3_600_000) } });

/** An account with credit of 1,000 micros and three calls of 10, of which those of the past hour are settled. */
async function openAccount(isInternal: boolean): Promise<void> {
  const project = await insertProject(fixture);
  const { billingAccountId, id: projectId } = project;
  const ctx = fixture.as(SYSTEM);
  await ctx.db
    .update(schema.billingAccounts)
    .set({ isInternal })
    .where(eq(schema.billingAccounts.id, billingAccountId));
  await insertMember(fixture, projectId, "owner");
  await creditWallet(ctx, {
    billingAccountId,
    micros: micros(1_000n),
    source: "paid",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
  });
  const call = { billingAccountId, projectId, endpointId: "ep_00000001", chargedMicros: micros(10n) };
  await makeCalls(fixture, [{ ...call, at: fixture.clock.now() }]);
  fixture.clock.advanceMs(3_600_000);
  const before = new Date(fixture.clock.nowMs() - (fixture.clock.nowMs() % 3_600_000));
  await settleAccount({ ctx, input: { billingAccountId, before } });
  await makeCalls(fixture, [{ ...call, at: fixture.clock.now() }]);
}

test("money is what the ledger says, and the product's own accounts count for nothing", async () => {
  expect(await summary()).toMatchObject({ signUps: 0, activeProjects: 0, calls: 0, revenueMicros: 0n });
  await openAccount(false);
  await openAccount(false);
  const { db } = fixture.as();
  const read = await summary();
  expect(read).toMatchObject({
    signUps: 2,
    activeProjects: 2,
    calls: 4,
    revenueMicros: 20n,
    creditOutstandingMicros: 2n * (1_000n - 20n),
  });
  const amountOf = async (query: ReturnType<typeof sql>): Promise<bigint> => {
    const [row] = await db.execute<{ amount: string }>(query);
    return BigInt(String(row?.amount ?? 0));
  };
  const booked = await amountOf(
    sql`select sum(amount_micros) as amount from ledger_entries where account = 'revenue:usage'`,
  );
  const posted = await amountOf(
    sql`select sum(amount_micros) as amount from ledger_entries where account like 'wallet:%'`,
  );
  const charged = await amountOf(sql`select sum(charged_micros) as amount from usage_hourly`);
  expect(read.revenueMicros).toBe(booked);
  expect(read.creditOutstandingMicros).toBe(posted - (charged - booked));
  await openAccount(true);
  const { to: _, ...after } = await summary();
  expect(after).toMatchObject({ activeProjects: 2, calls: 4, revenueMicros: 20n });
  expect(after.creditOutstandingMicros).toBe(read.creditOutstandingMicros);
});

test("a debt takes nothing from what others have", async () => {
  const before = await summary();
  const project = await insertProject(fixture);
  const { billingAccountId, id: projectId } = project;
  await creditWallet(fixture.as(SYSTEM), {
    billingAccountId,
    micros: micros(5n),
    source: "promo",
    idempotencyKey: newId("job"),
    reference: "Test",
    visible: true,
  });
  const call = { billingAccountId, projectId, endpointId: "ep_00000001", chargedMicros: micros(50n) };
  await makeCalls(fixture, [{ ...call, at: fixture.clock.now() }]);
  expect((await summary()).creditOutstandingMicros).toBe(before.creditOutstandingMicros);
});

test("only operators see it", async () => {
  const input = { from, to: new Date(from.getTime() + 1) };
  await expect(readSummary({ ctx: fixture.as(), input })).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  const ctx = fixture.as(customerActor(newId("customer")));
  await expect(readSummary({ ctx, input })).rejects.toMatchObject({ code: "FORBIDDEN" });
});
