import { newId } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { openHolder, renewHolder } from "../budgets/index.ts";
import { checkPipeline } from "./checkPipeline.ts";
import { exportCsv } from "./exportCsv.ts";
import { forgetUsage } from "./forgetUsage.ts";
import { ingestEvents } from "./ingestEvents.ts";
import { rankUsers } from "./rankUsers.ts";
import { readRanks } from "./readRanks.ts";
import { setRankingName } from "./setRankingName.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const system = () => fixture.as(SYSTEM);

async function callsOf(project: { id: string; billingAccountId: string }, count: number, more: object = {}) {
  const { id: projectId, billingAccountId } = project;
  const call = { projectId, billingAccountId, endpointId: newId("endpoint"), at: fixture.clock.now() };
  await makeCalls(
    fixture,
    Array.from({ length: count }, () => ({ ...call, chargedMicros: micros(0), ...more })),
  );
}

async function counts(projectId: string) {
  const [row] = await system().database.sql`
    select (select count(*) from calls where project_id = ${projectId}) as calls,
      (select coalesce(sum(calls), 0) from usage_hourly where project_id = ${projectId}) as hourly,
      (select count(*) from reported_events where project_id = ${projectId}) as events,
      (select coalesce(sum(events), 0) from usage_events_hourly where project_id = ${projectId}) as counted`;
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
}

test("what is older than it is kept goes, in as many batches as it takes, and what was counted stays", async () => {
  const [one, two] = await Promise.all([insertProject(fixture), insertProject(fixture)]);
  const event = (id: string) => ({ specversion: "1.0", id, source: "/s", type: "t" });
  const ingest = (id: string) => ingestEvents({ ctx: system(), input: { projectId: one.id, events: [event(id)] } });
  await callsOf(one, 2_500);
  await callsOf(two, 3);
  await ingest("old");
  fixture.clock.advanceMs(30 * DAY_MS + 1);
  await callsOf(one, 2);
  await ingest("new");
  expect(await forgetUsage({ ctx: system() })).toMatchObject({ calls: 2_503, batches: 0, events: 0 });
  expect(await counts(one.id)).toEqual({ calls: 2, hourly: 2_502, events: 2, counted: 2 });
  expect(await counts(two.id)).toMatchObject({ calls: 0, hourly: 3 });
  fixture.clock.advanceMs(5 * DAY_MS);
  expect(await forgetUsage({ ctx: system() })).toMatchObject({ batches: 2, events: 1 });
  expect(await counts(one.id)).toMatchObject({ events: 1, counted: 2 });
  expect(await forgetUsage({ ctx: system() })).toEqual({ calls: 0, batches: 0, events: 0, emails: 0 });
});

async function announced(): Promise<string[]> {
  const rows = await system().database.sql`
    select name, payload from outbox where name like 'usage.pipeline%' order by appended_at`;
  return rows.map((row) => `${row["name"]} ${(row["payload"] as { stage: string }).stage}`);
}

test("calls that wait while nothing is folded are announced once, and so is their end; an idle system is not", async () => {
  const { database } = system();
  const { clock } = fixture;
  const holderId = `${newId("gateway")}.0`;
  const stalled = async () => (await checkPipeline({ ctx: system() })).find(({ stage }) => stage === "fold")?.isStalled;
  await database.sql`update outbox set sent_at = now()`;
  await openHolder(database, clock, holderId);
  const renew = (unfolded: number, folded: number) => renewHolder(database, clock, holderId, { unfolded, folded });
  // Nobody calls, for hours.
  await renew(0, 0);
  clock.advanceMs(5 * 60 * MINUTE_MS);
  await renew(0, 0);
  expect(await stalled()).toBe(false);
  // Busy, and folded all the time: there is always something on its way.
  for (let minute = 1; minute <= 5; minute += 1) {
    await renew(50, minute * 1_000);
    clock.advanceMs(MINUTE_MS);
  }
  expect(await stalled()).toBe(false);
  // The workers have stopped.
  for (let minute = 1; minute <= 3; minute += 1) {
    await renew(50 + minute * 1_000, 5_000);
    clock.advanceMs(MINUTE_MS);
  }
  expect([await stalled(), await stalled()]).toEqual([true, true]);
  await renew(10, 9_000);
  expect(await stalled()).toBe(false);
  expect(await announced()).toEqual(["usage.pipelineStalled fold", "usage.pipelineRecovered fold"]);
});

test("users are ranked by their calls, under the name they chose, and only those who chose one", async () => {
  const [busy, quiet, shy] = await Promise.all([1, 2, 3].map(() => insertProject(fixture)));
  if (busy === undefined || quiet === undefined || shy === undefined) throw new Error("Three were made");
  await callsOf(busy, 7);
  await callsOf(quiet, 2);
  await callsOf(shy, 9);
  await callsOf(quiet, 50, { mode: "test" });
  for (const [project, displayName] of [
    [busy, "Busy Inc."],
    [quiet, "Quiet"],
  ] as const) {
    const admin = fixture.as(await insertMember(fixture, project.id, "admin"));
    await setRankingName({ ctx: admin, input: { projectId: project.id, displayName } });
  }
  const viewer = fixture.as(await insertMember(fixture, busy.id, "viewer"));
  await expect(setRankingName({ ctx: viewer, input: { projectId: busy.id, displayName: "x" } })).rejects.toMatchObject({
    code: "FORBIDDEN",
  });
  await rankUsers({ ctx: system() });
  expect((await readRanks({ ctx: fixture.as() })).users).toEqual([
    { displayName: "Busy Inc.", calls: 7 },
    { displayName: "Quiet", calls: 2 },
  ]);
  const admin = fixture.as(await insertMember(fixture, busy.id, "admin"));
  await setRankingName({ ctx: admin, input: { projectId: busy.id, displayName: null } });
  expect((await readRanks({ ctx: fixture.as() })).users).toEqual([{ displayName: "Quiet", calls: 2 }]);
});

test("every hour of a project's usage is one line of the export, over as many pages as there are", async () => {
  const project = await insertProject(fixture);
  const { id: projectId, billingAccountId } = project;
  const start = fixture.clock.nowMs() - (fixture.clock.nowMs() % DAY_MS);
  const at = (hour: number) => new Date(start + hour * 3_600_000);
  await makeCalls(
    fixture,
    Array.from({ length: 2_200 }, (_, index) => ({
      projectId,
      billingAccountId,
      endpointId: newId("endpoint"),
      at: at(index % 24),
      chargedMicros: micros(0),
    })),
  );
  const ctx = fixture.as(await insertMember(fixture, projectId, "viewer"));
  const input = { projectId, from: at(0), to: at(24), mode: "live" as const };
  let text = "";
  for await (const piece of exportCsv({ ctx, input })) text += piece;
  const lines = text.split("\r\n");
  expect(lines[0]).toBe("hour,api,endpoint,key_id,key,mode,status,calls,units,charged_micros");
  expect(lines.at(-1)).toBe("");
  expect(new Set(lines.slice(1, -1)).size).toBe(2_200);
});
