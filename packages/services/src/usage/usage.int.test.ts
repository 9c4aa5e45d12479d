import { readUsageInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newCallId, newId, TollgateError } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import type { MadeCall } from "../../test/usageFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { creditWallet, settleAccount } from "../balance/index.ts";
import { closePeriod } from "../billing/index.ts";
import { endpointFreeBudgetId, tierFreeBudgetId } from "../budgets/index.ts";
import { publishApi } from "../catalog/index.ts";
import { listCalls, readMonthly, readMonthlyTotal, readUsage, traceCall } from "./index.ts";

const HOUR_MS = 3_600_000;
let fixture: ServiceFixture;
let weather: { readonly now: string; readonly history: string };

beforeAll(async () => {
  fixture = await createServiceFixture();
  const operation = { get: { responses: { "200": { description: "OK" } } } };
  const common = { method: "GET" as const, unit: "call", meter: "call" as const, chargeOn4xx: false };
  const limits = { timeoutMs: 1_000, bodyBytesMax: 1_000 };
  const api = await publishApi({
    ctx: fixture.as(SYSTEM),
    input: {
      name: "weather",
      displayName: "Weather",
      description: "Tells the weather.",
      category: "weather",
      icon: null,
      openapi: { openapi: "3.0.3", info: { title: "w", version: "1" }, paths: { "/now": operation, "/h": operation } },
      examples: [],
      upstreamUrls: [],
      deleteDataUrl: null,
      status: "published",
      endpoints: [
        { name: "now", path: "/now", priceMicros: micros(10), freePerMonth: 100, ...common, ...limits },
        { name: "history", path: "/h", priceMicros: micros(20), freePerMonth: 0, ...common, ...limits },
      ],
    },
  });
  const idOf = (name: string) => api.endpoints.find((each) => each.name === name)?.id ?? "";
  weather = { now: idOf("now"), history: idOf("history") };
});
afterAll(() => fixture.close());

async function newProject(timeZone = "UTC") {
  const project = await insertProject(fixture);
  await fixture
    .as()
    .db.update(schema.billingAccounts)
    .set({ timeZone })
    .where(eq(schema.billingAccounts.id, project.billingAccountId));
  const viewer = fixture.as(await insertMember(fixture, project.id, "viewer"));
  const call = (at: string | Date, more: Partial<MadeCall> = {}): MadeCall => ({
    billingAccountId: project.billingAccountId,
    projectId: project.id,
    endpointId: weather.now,
    at: new Date(at),
    chargedMicros: micros(10),
    ...more,
  });
  const read = (input: Omit<Parameters<typeof readUsageInput.parse>[0] & object, "projectId">) =>
    readUsage({ ctx: viewer, input: readUsageInput.parse({ projectId: project.id, ...input }) });
  return { project, viewer, call, read };
}

test("days are the account's own, also those of 23 and 25 hours, and no call is lost or counted twice between them", async () => {
  const { call, read } = await newProject("Europe/Berlin");
  // The clocks go forward on 2026-03-29 and back on 2026-10-25, both at 01:00 UTC.
  const marchHours = Array.from({ length: 72 }, (_, hour) => new Date(Date.UTC(2026, 2, 28) + hour * HOUR_MS));
  const octoberHours = Array.from({ length: 72 }, (_, hour) => new Date(Date.UTC(2026, 9, 24) + hour * HOUR_MS));
  await makeCalls(
    fixture,
    [...marchHours, ...octoberHours].map((at) => call(at)),
  );
  const march = await read({ from: "2026-03-01T00:00:00Z", to: "2026-04-05T00:00:00Z", granularity: "day" });
  expect(march.series.map((point) => [point.at.toISOString(), point.calls])).toEqual([
    ["2026-03-27T23:00:00.000Z", 23],
    ["2026-03-28T23:00:00.000Z", 23],
    ["2026-03-29T22:00:00.000Z", 24],
    ["2026-03-30T22:00:00.000Z", 2],
  ]);
  const october = await read({ from: "2026-10-01T00:00:00Z", to: "2026-11-01T00:00:00Z", granularity: "day" });
  expect(october.series.map((point) => point.calls)).toEqual([22, 25, 24, 1]);
  const hours = await read({ from: "2026-10-24T22:00:00Z", to: "2026-10-25T23:00:00Z", granularity: "hour" });
  expect(hours.series).toHaveLength(25);
  expect(hours.totals).toMatchObject({ calls: 25, chargedMicros: 250n });
  const months = await read({ from: "2026-01-01T00:00:00Z", to: "2026-12-31T00:00:00Z", granularity: "month" });
  expect(months.series.map((point) => [point.at.toISOString(), point.calls])).toEqual([
    ["2026-02-28T23:00:00.000Z", 72],
    ["2026-09-30T22:00:00.000Z", 72],
  ]);
});

test("failures are counted apart from calls, and test calls apart from live ones", async () => {
  const { call, read } = await newProject();
  const at = "2026-01-10T10:20:00Z";
  await makeCalls(fixture, [
    call(at),
    call(at, { status: 404, chargedMicros: micros(0), outcome: "uncharged" }),
    call(at, { status: 502, chargedMicros: micros(0), outcome: "failed" }),
    call(at, { mode: "test", chargedMicros: micros(0), outcome: "test" }),
  ]);
  const span = { from: "2026-01-10T00:00:00Z", to: "2026-01-11T00:00:00Z", granularity: "day" as const };
  expect((await read(span)).totals).toEqual({ calls: 2, failures: 1, units: 3, chargedMicros: 10n });
  expect((await read({ ...span, mode: "test" })).totals).toMatchObject({ calls: 1, failures: 0, chargedMicros: 0n });
});

test("groups add up to the total, whatever they are by", async () => {
  const { call, read } = await newProject();
  const at = "2026-01-10T10:20:00Z";
  await makeCalls(fixture, [
    call(at, { keyId: "key_00000001" }),
    call(at, { keyId: "key_00000002", endpointId: weather.history, chargedMicros: micros(20) }),
    call(at, { keyId: "key_00000002", status: 404 }),
    call(at, { keyId: "key_00000002", endpointId: "ep_unknown0001" }),
  ]);
  const span = { from: "2026-01-10T00:00:00Z", to: "2026-01-11T00:00:00Z", granularity: "hour" as const };
  const groups: Record<string, [string | undefined, number][]> = {};
  for (const groupBy of ["api", "endpoint", "key", "status"] as const) {
    const usage = await read({ ...span, groupBy });
    expect(usage.totals).toMatchObject({ calls: 4, chargedMicros: 50n });
    groups[groupBy] = usage.series.map((point) => [point.group, point.calls]);
  }
  expect(groups).toEqual({
    api: [
      ["ep_unknown0001", 1],
      ["weather", 3],
    ],
    endpoint: [
      ["ep_unknown0001", 1],
      ["weather/history", 1],
      ["weather/now", 2],
    ],
    key: [
      ["key_00000001", 1],
      ["key_00000002", 3],
    ],
    status: [
      ["200", 3],
      ["404", 1],
    ],
  });
});

test("what is left of a quota is its limit less what is used and held this month", async () => {
  const { project, read, viewer } = await newProject("America/New_York");
  const { billingAccountId } = project;
  const now = fixture.clock.now();
  const budget = { billingAccountId, createdAt: now, updatedAt: now };
  await fixture
    .as()
    .db.insert(schema.budgets)
    .values([
      {
        ...budget,
        id: tierFreeBudgetId(billingAccountId, "2026-01"),
        kind: "tier_free",
        limitAmount: 10_000n,
        used: 30n,
        held: 5n,
      },
      {
        ...budget,
        id: tierFreeBudgetId(billingAccountId, "2025-12"),
        kind: "tier_free",
        limitAmount: 10_000n,
        used: 9_999n,
      },
      {
        ...budget,
        id: endpointFreeBudgetId(billingAccountId, weather.now, "2026-01"),
        kind: "endpoint_free",
        limitAmount: 100n,
        used: 100n,
      },
    ]);
  const { quota } = await read({ from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" });
  const resetsAt = new Date("2026-02-01T05:00:00Z");
  expect(quota.tierFree).toEqual({ used: 30, held: 5, limit: 10_000, remaining: 9_965, resetsAt });
  const ofNow = {
    endpointId: weather.now,
    api: "weather",
    endpoint: "now",
    used: 100,
    held: 0,
    limit: 100,
    remaining: 0,
  };
  expect(quota.endpoints).toEqual([{ ...ofNow, resetsAt }]);
  const input = { projectId: project.id, endpoints: ["weather/history", weather.now] };
  const monthly = await readMonthly({ ctx: fixture.as(SYSTEM), input });
  expect(monthly.items.map((item) => [item.endpoint, item.calls, item.used, item.remaining])).toEqual([
    ["history", 0, 0, 0],
    ["now", 0, 100, 0],
  ]);
  await expect(readMonthly({ ctx: viewer, input })).rejects.toMatchObject({ code: "FORBIDDEN" });
  const unknown = readMonthly({ ctx: fixture.as(SYSTEM), input: { ...input, endpoints: ["weather/never"] } });
  await expect(unknown).rejects.toMatchObject({ code: "NOT_FOUND", issues: [{ path: "endpoints.0" }] });
});

test("a month's total is the month where the account is", async () => {
  const { call, project, viewer } = await newProject("Asia/Tokyo");
  await makeCalls(fixture, [
    call("2025-12-31T14:59:59Z"),
    call("2025-12-31T15:00:00Z"),
    call("2026-01-10T00:00:00Z", { endpointId: weather.history, chargedMicros: micros(20) }),
  ]);
  const input = { projectId: project.id };
  const january = await readMonthlyTotal({ ctx: viewer, input });
  expect(january).toMatchObject({ month: "2026-01", calls: 2, chargedMicros: 30n });
  expect(january.endpoints.map((each) => [each.endpoint, each.chargedMicros])).toEqual([
    ["history", 20n],
    ["now", 10n],
  ]);
  const december = await readMonthlyTotal({ ctx: viewer, input: { ...input, month: "2025-12" } });
  expect(december).toMatchObject({ month: "2025-12", calls: 1, chargedMicros: 10n });
});

test("calls are paged without loss also when they began in the same millisecond, and end after 30 days", async () => {
  const { call, project, viewer } = await newProject();
  const nowMs = fixture.clock.nowMs();
  const at = new Date(nowMs - 1_000);
  const recent = await makeCalls(
    fixture,
    Array.from({ length: 25 }, () => call(at)),
  );
  await makeCalls(fixture, [call(new Date(nowMs - 31 * 24 * HOUR_MS))]);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const input = { projectId: project.id, limit: 10, ...(cursor === undefined ? {} : { cursor }) };
    const page = await listCalls({ ctx: viewer, input });
    seen.push(...page.items.map((item) => item.id));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toHaveLength(25);
  expect([...seen].sort()).toEqual([...recent].sort());
  const none = await listCalls({ ctx: viewer, input: { projectId: project.id, limit: 10, keyId: newId("key") } });
  expect(none.items).toEqual([]);
});

test("a call is traced from its batch to the statement's line and the grant that paid, also when it came late", async () => {
  const { call, project, viewer } = await newProject();
  const { billingAccountId } = project;
  const ctx = fixture.as(SYSTEM);
  const credit = { billingAccountId, micros: micros(100), source: "paid" as const, reference: "r", visible: true };
  const { grantId } = await creditWallet(ctx, { ...credit, idempotencyKey: "c" });
  const at = new Date(fixture.clock.nowMs());
  const [first = "", second = ""] = await makeCalls(fixture, [call(at), call(at, { chargedMicros: micros(20) })]);
  expect(await traceCall({ ctx: viewer, input: { callId: first } })).toMatchObject({ ledger: null, grants: [] });
  const settle = () => {
    const before = new Date(fixture.clock.nowMs() - (fixture.clock.nowMs() % HOUR_MS));
    return settleAccount({ ctx, input: { billingAccountId, before } });
  };
  fixture.clock.advanceMs(HOUR_MS);
  const onTime = await settle();
  fixture.clock.advanceMs(1);
  const [late = ""] = await makeCalls(fixture, [call(at)]);
  fixture.clock.advanceMs(1);
  const later = await settle();
  const trace = await traceCall({ ctx: viewer, input: { callId: second } });
  expect(trace).toMatchObject({
    call: { id: second, api: "weather", endpoint: "now", chargedMicros: 20n },
    batch: { sequence: 1, calls: 2 },
    ledger: { transactionId: onTime.transactionId, amountMicros: -20n },
    grants: [{ grantId, source: "paid", amountMicros: 30n }],
    invoice: null,
  });
  expect((await traceCall({ ctx: viewer, input: { callId: first } })).ledger?.transactionId).toBe(onTime.transactionId);
  expect((await traceCall({ ctx: viewer, input: { callId: late } })).ledger).toMatchObject({
    transactionId: later.transactionId,
    amountMicros: -10n,
  });
  fixture.clock.advanceMs(40 * 24 * HOUR_MS);
  const closed = await closePeriod({ ctx: fixture.as(OPERATOR), input: { billingAccountId, at: fixture.clock.now() } });
  const line = closed.invoice?.lines.find(({ unitPriceMicros }) => unitPriceMicros === 20n);
  expect(line).toBeDefined();
  expect((await traceCall({ ctx: viewer, input: { callId: second } })).invoice).toEqual({
    invoiceId: closed.invoice?.id,
    number: closed.invoice?.number,
    line: line?.line,
    description: line?.description,
    amountMicros: line?.amountMicros,
  });
});

test("a stranger's project and a stranger's call are as unknown as those that never were", async () => {
  const { call, project } = await newProject();
  const { viewer: stranger } = await newProject();
  const [callId = ""] = await makeCalls(fixture, [call(fixture.clock.now())]);
  const reasonOf = async (work: Promise<unknown>) => {
    const error: unknown = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error instanceof TollgateError ? `${error.code} ${error.reason}` : "none";
  };
  const from = new Date("2026-01-01T00:00:00Z");
  const span = { from, to: new Date("2026-01-02T00:00:00Z"), granularity: "day" as const, mode: "live" as const };
  const projectId = project.id;
  expect(await reasonOf(traceCall({ ctx: stranger, input: { callId } }))).toBe("NOT_FOUND call_not_found");
  expect(await reasonOf(traceCall({ ctx: stranger, input: { callId: newCallId(fixture.clock.nowMs()) } }))).toBe(
    "NOT_FOUND call_not_found",
  );
  for (const work of [
    () => readUsage({ ctx: stranger, input: { projectId, ...span } }),
    () => readMonthlyTotal({ ctx: stranger, input: { projectId } }),
    () => listCalls({ ctx: stranger, input: { projectId, limit: 1 } }),
  ]) {
    expect(await reasonOf(work())).toBe("NOT_FOUND project_not_found");
  }
});

test("a span that is empty, backwards or too long for its steps is refused by its field", () => {
  const base = { projectId: newId("project"), from: "2026-01-01T00:00:00Z" };
  const pathsOf = (more: object) => {
    const parsed = readUsageInput.safeParse({ ...base, ...more });
    return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join("."));
  };
  expect(pathsOf({ to: "2026-01-01T00:00:00Z" })).toEqual(["to"]);
  expect(pathsOf({ to: "2026-02-01T00:00:00Z", granularity: "hour" })).toEqual([]);
  expect(pathsOf({ to: "2026-02-01T00:00:01Z", granularity: "hour" })).toEqual(["from"]);
  expect(pathsOf({ to: "never" })).toEqual(["to"]);
});
