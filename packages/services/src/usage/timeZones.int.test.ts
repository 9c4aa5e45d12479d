import { ingestInput, readUsageInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { dayPeriod, localHourStartMs, monthPeriod, newId } from "@tollgate/kernel";
import { eq, sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { tierFreeBudgetId } from "../budgets/index.ts";
import { collectPersonalData } from "../customers/collectPersonalData.ts";
import { exportCsv, ingestEvents, readMonthlyTotal, readUsage, traceCall } from "./index.ts";

/** Usage where midnight lies inside an hour of UTC: it must be of the same days and months as the quotas are. */
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
let fixture: ServiceFixture;

beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

async function newProject(timeZone: string) {
  const project = await insertProject(fixture);
  const moveTo = (timeZone: string) =>
    fixture
      .as()
      .db.update(schema.billingAccounts)
      .set({ timeZone })
      .where(eq(schema.billingAccounts.id, project.billingAccountId));
  await moveTo(timeZone);
  const actor = await insertMember(fixture, project.id, "viewer");
  const viewer = fixture.as(actor);
  const { id: projectId, billingAccountId } = project;
  /** Free calls at these instants, out of the quota of the month in which each was made. */
  const call = async (atMs: readonly number[], zone: string) => {
    const quotaAt = (ms: number) => tierFreeBudgetId(billingAccountId, monthPeriod(ms, zone).id);
    const now = fixture.clock.now();
    const quota = { kind: "tier_free", billingAccountId, limitAmount: 1_000n, createdAt: now, updatedAt: now } as const;
    const rows = [...new Set(atMs.map(quotaAt))].map((id) => ({ id, ...quota }));
    await fixture.as().db.insert(schema.budgets).values(rows).onConflictDoNothing();
    const common = { projectId, billingAccountId, endpointId: "ep_00000001", chargedMicros: micros(0) };
    return makeCalls(
      fixture,
      atMs.map((ms) => ({ ...common, at: new Date(ms), draws: `${quotaAt(ms)}=1` })),
    );
  };
  const read = (from: string, to: string, granularity: "hour" | "day" | "month") =>
    readUsage({ ctx: viewer, input: readUsageInput.parse({ projectId, from, to, granularity }) });
  const series = async (...span: Parameters<typeof read>) =>
    (await read(...span)).series.map(({ at, calls }) => [at.toISOString(), calls] as const);
  const readMonth = (month: string) => readMonthlyTotal({ ctx: viewer, input: { projectId, month } });
  return { projectId, billingAccountId, actor, viewer, moveTo, call, read, series, readMonth };
}

/** How many of these instants are in each period, by the period's beginning. */
function countBy(atMs: readonly number[], startOf: (ms: number) => number): (readonly [string, number])[] {
  const counts = new Map<number, number>();
  for (const ms of atMs) counts.set(startOf(ms), (counts.get(startOf(ms)) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a - b).map(([ms, count]) => [new Date(ms).toISOString(), count]);
}

/** The zone, a month that ends in it, and an instant at which its clocks are changed in that month or the next. */
const ZONES = [
  ["Asia/Kathmandu", "2026-04-15T00:00:00Z", "2026-04-20T18:15:00Z"],
  ["America/St_Johns", "2026-10-15T00:00:00Z", "2026-11-01T04:30:00Z"],
  ["Australia/Lord_Howe", "2026-03-15T00:00:00Z", "2026-04-04T15:00:00Z"],
  ["Australia/Lord_Howe", "2026-09-15T00:00:00Z", "2026-10-03T15:30:00Z"],
  ["Pacific/Chatham", "2026-09-15T00:00:00Z", "2026-09-26T14:00:00Z"],
] as const;

test.each(ZONES)(
  "in %s the calls of every day and month of %s are those of its quotas",
  async (zone, about, change) => {
    const { call, series, read, readMonth } = await newProject(zone);
    const month = monthPeriod(Date.parse(about), zone);
    const next = monthPeriod(month.endMs, zone);
    const edges = [month.startMs, month.endMs, next.endMs, Date.parse(change)];
    for (let ms = month.endMs - 3 * DAY_MS; ms < month.endMs + 3 * DAY_MS; ms += DAY_MS) {
      edges.push(dayPeriod(ms, zone).startMs);
    }
    const distances = [1, 14, 16, 29, 31, 44, 46, 59, 61].flatMap((minutes) => [
      -minutes * MINUTE_MS,
      minutes * MINUTE_MS,
    ]);
    const atMs = edges.flatMap((edgeMs) => [0, -1, ...distances].map((distanceMs) => edgeMs + distanceMs));
    await call(atMs, zone);

    const [from, to] = ["2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"] as const;
    expect(await series(from, to, "day")).toEqual(countBy(atMs, (ms) => dayPeriod(ms, zone).startMs));
    expect(await series(from, to, "month")).toEqual(countBy(atMs, (ms) => monthPeriod(ms, zone).startMs));
    for (const { id, startMs, endMs } of [month, next]) {
      const calls = atMs.filter((ms) => ms >= startMs && ms < endMs).length;
      expect(await readMonth(id)).toMatchObject({ month: id, calls });
      fixture.clock.set(new Date(endMs - 1));
      const span = [new Date(startMs).toISOString(), new Date(endMs).toISOString(), "day"] as const;
      const { totals, quota } = await read(...span);
      expect([totals.calls, quota.tierFree.used]).toEqual([calls, calls]);
    }
    // The hours around the change of the clocks.
    const changeMs = Date.parse(change);
    const around = [changeMs - 2 * 60 * MINUTE_MS, changeMs + 2 * 60 * MINUTE_MS].map((ms) =>
      localHourStartMs(ms, zone),
    );
    const [first = 0, last = 0] = around;
    expect(await series(new Date(first).toISOString(), new Date(last).toISOString(), "hour")).toEqual(
      countBy(
        atMs.filter((ms) => ms >= first && ms < last),
        (ms) => localHourStartMs(ms, zone),
      ),
    );
  },
);

test("the hours of a series and of the CSV begin where the account's do, and the one that the span begins in is in it", async () => {
  const { projectId, viewer, call, series } = await newProject("Asia/Kolkata");
  const day = "2026-02-10T";
  const at = ["09:29:59.999Z", "09:30:00Z", "10:00:00Z", "10:29:59.999Z", "10:30:00Z"].map((time) => day + time);
  await call(
    at.map((time) => Date.parse(time)),
    "Asia/Kolkata",
  );
  const hours = [
    ["2026-02-10T08:30:00.000Z", 1],
    ["2026-02-10T09:30:00.000Z", 3],
    ["2026-02-10T10:30:00.000Z", 1],
  ];
  expect(await series("2026-02-10T00:00:00Z", "2026-02-11T00:00:00Z", "hour")).toEqual(hours);
  expect(await series("2026-02-10T10:15:00Z", "2026-02-11T00:00:00Z", "hour")).toEqual(hours.slice(1));
  let csv = "";
  const span = { from: new Date("2026-02-10T10:15:00Z"), to: new Date("2026-02-11T00:00:00Z") };
  for await (const piece of exportCsv({ ctx: viewer, input: { projectId, mode: "live", ...span } })) csv += piece;
  const lines = csv.trim().split(/\r?\n/).slice(1);
  expect(lines.map((line) => [line.split(",")[0], Number(line.split(",")[7])])).toEqual(hours.slice(1));
});

test("a change of the time zone loses nothing: what was counted before counts to the day in which its hour began", async () => {
  const { call, moveTo, read, series, readMonth } = await newProject("UTC");
  // Where the account will be, March begins at 18:30 UTC.
  const atMs = ["18:10", "18:40", "19:10"].map((time) => Date.parse(`2026-02-28T${time}:00Z`));
  await call(atMs, "UTC");
  await moveTo("Asia/Kolkata");
  await call(atMs, "Asia/Kolkata");
  const span = ["2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"] as const;
  expect((await read(...span, "day")).totals.calls).toBe(6);
  expect(await series("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "hour")).toEqual([
    ["2026-02-28T17:30:00.000Z", 1],
    ["2026-02-28T18:00:00.000Z", 2],
    ["2026-02-28T18:30:00.000Z", 2],
    ["2026-02-28T19:00:00.000Z", 1],
  ]);
  expect(await series(...span, "month")).toEqual([
    ["2026-01-31T18:30:00.000Z", 3],
    ["2026-02-28T18:30:00.000Z", 3],
  ]);
  expect([(await readMonth("2026-02")).calls, (await readMonth("2026-03")).calls]).toEqual([3, 3]);
});

test("operators find a call by its id in every zone, also after the account has left it", async () => {
  for (const zone of ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]) {
    const { projectId, call, moveTo } = await newProject(zone);
    // The last of them are in an hour of 30 minutes of Lord Howe Island, and in the one after.
    const times = ["2026-02-10T09:00:00Z", "2026-02-10T09:29:59.999Z", "2026-02-10T09:30:00Z", "2026-02-10T09:59:00Z"];
    const atMs = [...times, "2026-10-03T15:59:59.999Z", "2026-10-03T16:00:00Z"].map((time) => Date.parse(time));
    const callIds = await call(atMs, zone);
    for (const timeZone of [zone, "Pacific/Chatham"]) {
      await moveTo(timeZone);
      for (const callId of callIds) {
        const traces = [OPERATOR, SYSTEM].map((actor) => traceCall({ ctx: fixture.as(actor), input: { callId } }));
        expect(await Promise.all(traces)).toMatchObject([{ projectId }, { projectId }]);
      }
    }
  }
});

test("reported events and the usage in a person's export are of the account's months, too", async () => {
  const zone = "Asia/Kathmandu";
  const { projectId, actor, call, readMonth } = await newProject(zone);
  fixture.clock.set(new Date("2026-06-01T00:00:00Z"));
  const { endMs } = monthPeriod(Date.parse("2026-04-15T00:00:00Z"), zone);
  const atMs = [-46, -44, -16, -14, -1, 0, 1, 14, 16].map((minutes) => endMs + minutes * MINUTE_MS);
  const events = atMs.map((ms) => ({
    specversion: "1.0",
    id: newId("event"),
    source: "/meter",
    type: "pages",
    time: new Date(ms).toISOString(),
  }));
  const input = ingestInput.parse({ projectId, events });
  for (let sending = 0; sending < 2; sending += 1) await ingestEvents({ ctx: fixture.as(SYSTEM), input });
  await call(atMs, zone);
  expect((await readMonth("2026-04")).events).toEqual([{ table: "pages", events: 5 }]);
  expect((await readMonth("2026-05")).events).toEqual([{ table: "pages", events: 4 }]);
  const ctx = fixture.as(SYSTEM);
  const customerId = actor.kind === "customer" ? actor.customerId : "";
  const [customer] = await ctx.db.select().from(schema.customers).where(eq(schema.customers.id, customerId));
  if (customer === undefined) throw new Error("The member is not there");
  const { projects } = await collectPersonalData(ctx, customer);
  expect(projects).toMatchObject([
    {
      usageByMonth: [
        { month: "2026-04-01", calls: "5" },
        { month: "2026-05-01", calls: "4" },
      ],
    },
  ]);
});

test("money stays by the hour of UTC, wherever the account is", async () => {
  const { projectId, billingAccountId } = await newProject("Asia/Kolkata");
  const call = { projectId, billingAccountId, endpointId: "ep_00000001", chargedMicros: micros(10) };
  await makeCalls(fixture, [{ ...call, at: new Date("2026-02-10T09:40:00Z") }]);
  const hourIn = async (table: "accruals" | "usage_hourly") =>
    fixture
      .as()
      .db.execute<{ ms: string }>(
        sql`select extract(epoch from hour) * 1000 as ms from ${sql.identifier(table)} where project_id = ${projectId}`,
      );
  expect((await hourIn("accruals")).map(({ ms }) => Number(ms))).toEqual([Date.parse("2026-02-10T09:00:00Z")]);
  expect((await hourIn("usage_hourly")).map(({ ms }) => Number(ms))).toEqual([Date.parse("2026-02-10T09:30:00Z")]);
});
