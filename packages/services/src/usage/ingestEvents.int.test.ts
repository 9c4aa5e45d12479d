import { createDatabase } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { FaultProxy } from "@tollgate/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { ingestEvents } from "./ingestEvents.ts";
import { listEvents } from "./listEvents.ts";
import { readMonthlyTotal } from "./readMonthlyTotal.ts";
import { saveEvent } from "./saveEvent.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const events = (from: number, through: number, more: object = {}) =>
  Array.from({ length: through - from + 1 }, (_, index) => ({
    specversion: "1.0",
    id: String(from + index),
    source: "/meter",
    type: "pages",
    data: { count: from + index },
    ...more,
  }));

/** Events that are stored of a project, and how many were counted. */
async function stored(projectId: string): Promise<{ rows: number; counted: number }> {
  const { database } = fixture.as();
  const [row] = await database.sql`
    select (select count(*) from reported_events where project_id = ${projectId}) as rows,
      (select coalesce(sum(events), 0) from usage_events_hourly where project_id = ${projectId}) as counted`;
  return { rows: Number(row?.["rows"]), counted: Number(row?.["counted"]) };
}

test("an event from before the digests is recognised: the migration makes them as the product does", async () => {
  const { id: projectId } = await insertProject(fixture);
  const ctx = fixture.as(SYSTEM);
  const [event] = events(1, 1, { id: "\u00fc 1", source: "/m/\u20ac" });
  await ingestEvents({ ctx, input: { projectId, events: [event] } });
  const [row] = await ctx.database.sql`
    select key, left(right(sha256(convert_to(${projectId} || ' ' || ${"/m/\u20ac"} || ' ' || ${"\u00fc 1"}, 'UTF8'))::text, 64), 32)
      as migrated
    from reported_events where project_id = ${projectId}`;
  expect(row?.["key"]).toBe(row?.["migrated"]);
});

test("an event is stored and counted once, and answered the second time as the first", async () => {
  const { id: projectId } = await insertProject(fixture);
  const ctx = fixture.as(SYSTEM);
  const batch = [...events(1, 3), { nonsense: true }];
  const first = await ingestEvents({ ctx, input: { projectId, events: batch } });
  expect(first).toMatchObject({ accepted: 3, rejected: 1 });
  expect(await ingestEvents({ ctx, input: { projectId, events: batch } })).toEqual(first);
  const other = events(2, 2, { data: "something else", type: "other" });
  expect((await ingestEvents({ ctx, input: { projectId, events: other } })).results[0]).toEqual(first.results[1]);
  expect(await stored(projectId)).toEqual({ rows: 3, counted: 3 });
  const member = fixture.as(await insertMember(fixture, projectId, "viewer"));
  const listed = await listEvents({ ctx: member, input: { projectId, table: "pages", limit: 200 } });
  expect(listed.items.map(({ record }) => record)).toEqual(
    expect.arrayContaining([{ count: 1 }, { count: 2 }, { count: 3 }]),
  );
  expect((await readMonthlyTotal({ ctx: member, input: { projectId } })).events).toEqual([
    { table: "pages", events: 3 },
  ]);
});

test("the same id of another source or another project is another event", async () => {
  const [{ id: one }, { id: two }] = await Promise.all([insertProject(fixture), insertProject(fixture)]);
  const ctx = fixture.as(SYSTEM);
  await ingestEvents({ ctx, input: { projectId: one, events: events(1, 1) } });
  await ingestEvents({ ctx, input: { projectId: one, events: events(1, 1, { source: "/meter/1" }) } });
  await ingestEvents({ ctx, input: { projectId: two, events: events(1, 1) } });
  expect(await stored(one)).toEqual({ rows: 2, counted: 2 });
  expect(await stored(two)).toEqual({ rows: 1, counted: 1 });
});

test("batches that overlap and come at the same time, in any order, count every event once", async () => {
  const { id: projectId } = await insertProject(fixture);
  const ctxs = [fixture.as(SYSTEM), fixture.otherProcess(SYSTEM)];
  const batches = Array.from({ length: 16 }, (_, index) => {
    const batch = events(1 + index * 10, 60 + index * 10);
    return index % 2 === 0 ? batch : batch.reverse();
  });
  await Promise.all(
    batches.map((batch, index) =>
      ingestEvents({ ctx: ctxs[index % 2] ?? fixture.as(SYSTEM), input: { projectId, events: batch } }),
    ),
  );
  expect(await stored(projectId)).toEqual({ rows: 210, counted: 210 });
});

test("whatever breaks on the way to the database, a batch is counted once when it was answered", async () => {
  const { id: projectId } = await insertProject(fixture);
  const proxy = await FaultProxy.start(fixture.databaseUrl);
  const database = createDatabase({ url: proxy.url, applicationName: "faulty", connectionsMax: 2 });
  const ctx = { ...fixture.as(SYSTEM), database, db: database.db };
  try {
    for (let round = 0; round < 9; round += 1) {
      if (round % 3 === 0) proxy.failCommits(1);
      if (round % 3 === 1) proxy.cutAtCommit("before");
      if (round % 3 === 2) proxy.cutAtCommit("after");
      const batch = events(1 + round * 10, 10 + round * 10);
      expect(await ingestEvents({ ctx, input: { projectId, events: batch } })).toMatchObject({ accepted: 10 });
    }
    expect(proxy.ordersLeft).toBe(0);
    expect(await stored(projectId)).toEqual({ rows: 90, counted: 90 });
  } finally {
    await database.close();
    await proxy.stop();
  }
});

test("the longest source and id, in the widest characters, are taken", async () => {
  const { id: projectId } = await insertProject(fixture);
  const wide = events(1, 1, { source: "試".repeat(600), id: "驗".repeat(250) });
  const { results } = await ingestEvents({ ctx: fixture.as(SYSTEM), input: { projectId, events: wide } });
  expect(results[0]?.status).toBe("accepted");
});

test("a record is saved under its table, once for an id, and pages lose none with equal times", async () => {
  const { id: projectId } = await insertProject(fixture);
  const ctx = fixture.as(SYSTEM);
  const save = (id?: string) =>
    saveEvent({
      ctx,
      input: { projectId, table: "audit trail", record: { a: 1 }, ...(id === undefined ? {} : { id }) },
    });
  expect(await save("x")).toEqual({ id: "x" });
  expect(await save("x")).toEqual({ id: "x" });
  await Promise.all([save(), save(), save()]);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await listEvents({
      ctx,
      input: { projectId, table: "audit trail", limit: 2, ...(cursor === undefined ? {} : { cursor }) },
    });
    seen.push(...page.items.map(({ id }) => id));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(new Set(seen).size).toBe(4);
  expect(seen).toHaveLength(4);
});

test("events of a project that is not there are refused as a whole", async () => {
  await expect(
    ingestEvents({ ctx: fixture.as(SYSTEM), input: { projectId: newId("project"), events: events(1, 1) } }),
  ).rejects.toMatchObject({ code: "NOT_FOUND" });
});
