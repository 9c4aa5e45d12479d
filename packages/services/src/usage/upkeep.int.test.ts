import type { PipelineStage } from "@tollgate/contracts";
import { hourFloor, newId } from "@tollgate/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { settleAccount } from "../balance/index.ts";
import { openHolder, renewHolder } from "../budgets/index.ts";
import type { StageState } from "./checkPipeline.ts";
import { checkPipeline } from "./checkPipeline.ts";
import { exportCsv } from "./exportCsv.ts";
import { forgetUsage } from "./forgetUsage.ts";
import { ingestEvents } from "./ingestEvents.ts";
import { rankUsers } from "./rankUsers.ts";
import { readRanks } from "./readRanks.ts";
import { setRankingName } from "./setRankingName.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
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
  // The rest as well, so that nothing of it waits in the tests that follow.
  await renew(0, 9_010);
});

/** Whether a stage stands still, as the minutely check finds. What the tests before have left is not looked at. */
async function checkStage(stage: PipelineStage): Promise<StageState | undefined> {
  return (await checkPipeline({ ctx: system() })).find((state) => state.stage === stage);
}
const clearOutbox = () => system().database.sql`update outbox set sent_at = now() where sent_at is null`;
const ofStage = async (stage: PipelineStage) => (await announced()).filter((name) => name.endsWith(` ${stage}`));

test("events and jobs that nobody sends are announced once, and so is that they are sent again", async () => {
  const { clock } = fixture;
  await clearOutbox();
  expect(await checkStage("outbox")).toEqual({
    stage: "outbox",
    waiting: 0,
    ageMs: 0,
    isStalled: false,
    vanishedRuns: [],
  });
  // Any verb's event will do.
  const { id } = await insertProject(fixture);
  const admin = fixture.as(await insertMember(fixture, id, "admin"));
  await clearOutbox();
  await setRankingName({ ctx: admin, input: { projectId: id, displayName: "Waits" } });
  clock.advanceMs(2 * MINUTE_MS);
  expect(await checkStage("outbox")).toMatchObject({ waiting: 1, ageMs: 2 * MINUTE_MS, isStalled: false });
  clock.advanceMs(1);
  expect(await checkStage("outbox")).toMatchObject({ isStalled: true });
  // The announcement waits there as well, and is not announced in turn.
  expect(await checkStage("outbox")).toMatchObject({ waiting: 2, isStalled: true });
  expect(await ofStage("outbox")).toEqual(["usage.pipelineStalled outbox"]);
  await clearOutbox();
  expect(await checkStage("outbox")).toMatchObject({ waiting: 0, ageMs: 0, isStalled: false });
  expect(await ofStage("outbox")).toEqual(["usage.pipelineStalled outbox", "usage.pipelineRecovered outbox"]);
});

test("usage that three settlements in a row have left is announced once; a call that came late waits since it came", async () => {
  const { clock } = fixture;
  const [project, other] = [await insertProject(fixture), await insertProject(fixture)];
  clock.set(new Date(hourFloor(clock.nowMs()).getTime() + 59 * MINUTE_MS));
  const early = clock.now();
  await callsOf(project, 2, { chargedMicros: micros(5) });
  // Its hour is not over: nothing is due.
  expect(await checkStage("settlement")).toMatchObject({ waiting: 0, ageMs: 0 });
  clock.advanceMs(MINUTE_MS);
  expect(await checkStage("settlement")).toMatchObject({ waiting: 1, ageMs: 0 });
  clock.advanceMs(3 * HOUR_MS);
  expect(await checkStage("settlement")).toMatchObject({ waiting: 1, ageMs: 3 * HOUR_MS, isStalled: false });
  clock.advanceMs(1);
  expect([await checkStage("settlement"), await checkStage("settlement")]).toMatchObject([
    { isStalled: true },
    { isStalled: true },
  ]);
  const settle = (billingAccountId: string) =>
    settleAccount({ ctx: system(), input: { billingAccountId, before: hourFloor(clock.nowMs()) } });
  await settle(project.billingAccountId);
  expect(await checkStage("settlement")).toMatchObject({ waiting: 0, ageMs: 0, isStalled: false });
  expect(await ofStage("settlement")).toEqual([
    "usage.pipelineStalled settlement",
    "usage.pipelineRecovered settlement",
  ]);

  // A gateway's disk comes back after hours: into an hour that was settled, and into one of which nothing was known.
  await callsOf(project, 1, { chargedMicros: micros(5), at: early });
  await callsOf(other, 1, { chargedMicros: micros(5), at: early });
  expect(await checkStage("settlement")).toMatchObject({ waiting: 2, ageMs: 0, isStalled: false });
  clock.advanceMs(2 * HOUR_MS);
  // More of that hour does not make it young again.
  await callsOf(project, 1, { chargedMicros: micros(5), at: early });
  await settle(other.billingAccountId);
  expect(await checkStage("settlement")).toMatchObject({ ageMs: 2 * HOUR_MS, isStalled: false });
  clock.advanceMs(HOUR_MS + 1);
  expect(await checkStage("settlement")).toMatchObject({ isStalled: true });
  await settle(project.billingAccountId);
  expect(await checkStage("settlement")).toMatchObject({ waiting: 0, isStalled: false });
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
