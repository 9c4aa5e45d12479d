import { openIncidentInput, STATUS_COMPONENTS, updateIncidentInput } from "@tollgate/contracts";
import { createDatabase, schema } from "@tollgate/db";
import { eq, like } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import {
  openIncident,
  readCurrent,
  readHistory,
  recordObservations,
  resolveIncident,
  updateIncident,
} from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  const { db } = fixture.as();
  for (const table of [
    schema.statusIncidentUpdates,
    schema.statusIncidents,
    schema.statusComponents,
    schema.statusDays,
  ]) {
    await db.delete(table);
  }
});

const look = (silent: readonly string[] = [], ctx = fixture.as(SYSTEM)) =>
  recordObservations({
    ctx,
    input: STATUS_COMPONENTS.map((component) => {
      const hasAnswered = !silent.includes(component);
      return { component, hasAnswered, latencyMs: hasAnswered ? 3 : null };
    }),
  });
const current = () => readCurrent({ ctx: fixture.as() });
const stateOf = async (name: string) => (await current()).components.find((one) => one.name === name)?.state;
const open = (input: object, actor = OPERATOR) =>
  openIncident({
    ctx: fixture.as(actor),
    input: openIncidentInput.parse({ title: "Calls are slow", message: "We look.", ...input }),
  });

test("everybody sees how the parts were at the last look, and the workers' silence", async () => {
  expect(await current()).toMatchObject({ state: "unknown", incidents: [] });
  await look();
  expect(await current()).toMatchObject({ state: "up" });
  fixture.clock.advanceMs(30_000);
  await look(["nats"]);
  expect(await stateOf("nats")).toBe("degraded");
  fixture.clock.advanceMs(30_000);
  await look(["nats"]);
  expect(await current()).toMatchObject({ state: "down" });
  expect(await stateOf("redis")).toBe("up");
  fixture.clock.advanceMs(10 * 60_000);
  expect(await stateOf("workers")).toBe("down");
  expect(await stateOf("redis")).toBe("unknown");
});

test("time is counted once although several workers look at once", async () => {
  await look();
  for (let nth = 0; nth < 4; nth += 1) {
    fixture.clock.advanceMs(30_000);
    const silent = nth === 3 ? ["etcd"] : [];
    await Promise.all([look(silent), look(silent, fixture.otherProcess(SYSTEM)), look(silent)]);
  }
  const { components } = await readHistory({ ctx: fixture.as(), input: { days: 2 } });
  const total = (name: string) => {
    const days = components.find((one) => one.name === name)?.days ?? [];
    return days.reduce((sum, { upMs, degradedMs, downMs }) => sum + upMs + degradedMs + downMs, 0);
  };
  expect(STATUS_COMPONENTS.map(total)).toEqual(STATUS_COMPONENTS.map(() => 120_000));
  expect(components.map(({ days }) => days.length)).toEqual(STATUS_COMPONENTS.map(() => 2));
  expect(components.find(({ name }) => name === "etcd")?.uptimeBasisPoints).toBe(10_000);
});

test("without a database the answer is that it is down", async () => {
  const database = createDatabase({ url: "postgres://nobody@127.0.0.1:1/none", applicationName: "gone" });
  const answer = await readCurrent({ ctx: { ...fixture.as(), database, db: database.db } });
  await database.close();
  expect(answer.state).toBe("down");
  expect(answer.components.map(({ name, state }) => [name, state])).toContainEqual(["database", "down"]);
});

test("an incident goes from opened to resolved with everything that was said, an audit row and an event a step", async () => {
  await look();
  const opened = await open({ components: ["gateway", "gateway"], impact: "critical" });
  expect(opened).toMatchObject({ status: "investigating", components: ["gateway"], resolvedAt: null });
  expect(await stateOf("gateway")).toBe("down");
  fixture.clock.advanceMs(1_000);
  const input = updateIncidentInput.parse({ id: opened.id, status: "identified", impact: "minor", message: "Found." });
  await updateIncident({ ctx: fixture.as(OPERATOR), input });
  expect(await stateOf("gateway")).toBe("degraded");
  fixture.clock.advanceMs(1_000);
  const resolve = () => resolveIncident({ ctx: fixture.as(OPERATOR), input: { id: opened.id, message: "Over." } });
  const resolved = await resolve();
  expect(await resolve()).toEqual(resolved);
  expect(resolved.updates.map(({ status, message }) => [status, message])).toEqual([
    ["resolved", "Over."],
    ["identified", "Found."],
    ["investigating", "We look."],
  ]);
  expect(await current()).toMatchObject({ state: "up", incidents: [] });
  expect((await readHistory({ ctx: fixture.as(), input: { days: 1 } })).incidents).toEqual([resolved]);
  await expect(updateIncident({ ctx: fixture.as(OPERATOR), input })).rejects.toMatchObject({ code: "CONFLICT" });
  const { db } = fixture.as();
  const audits = await db.select().from(schema.auditLog).where(eq(schema.auditLog.subject, opened.id));
  expect(audits.map(({ action }) => action).toSorted()).toEqual([
    "status.openIncident",
    "status.resolveIncident",
    "status.updateIncident",
  ]);
  const events = await db.select().from(schema.outbox).where(like(schema.outbox.name, "status.%"));
  const own = events.filter(({ payload }) => payload["incidentId"] === opened.id);
  expect(own.map(({ name }) => name).toSorted()).toEqual([
    "status.incidentOpened",
    "status.incidentResolved",
    "status.incidentUpdated",
  ]);
});

test("the same key opens one incident, also at once, and never another", async () => {
  const once = { idempotencyKey: "incident-0001" };
  const opened = await Promise.all([open(once), open(once), open(once)]);
  expect(new Set(opened.map(({ id }) => id)).size).toBe(1);
  await expect(open({ ...once, title: "Mails are late" })).rejects.toMatchObject({ code: "CONFLICT" });
  expect((await current()).incidents).toHaveLength(1);
});

test("only operators speak of incidents, and only of those that there are", async () => {
  await expect(open({}, customerActor("cus_somebody00"))).rejects.toMatchObject({ code: "FORBIDDEN" });
  const input = { id: "inc_0000000000000000000000", message: "Over." };
  await expect(resolveIncident({ ctx: fixture.as(OPERATOR), input })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(recordObservations({ ctx: fixture.as(OPERATOR), input: [] })).rejects.toMatchObject({
    code: "FORBIDDEN",
  });
});
