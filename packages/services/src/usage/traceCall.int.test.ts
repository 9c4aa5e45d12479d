import { createDatabase } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { FaultProxy } from "@tollgate/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import type { ServiceContext } from "../context.ts";
import { traceCall } from "./traceCall.ts";

/** Calls have no index of ids, so a trace looks into projects: into those of the caller, and no others. */
let fixture: ServiceFixture;
let proxy: FaultProxy;
let database: ReturnType<typeof createDatabase>;

beforeAll(async () => {
  fixture = await createServiceFixture();
  proxy = await FaultProxy.start(fixture.databaseUrl);
  database = createDatabase({ url: proxy.url, applicationName: "trace test", connectionsMax: 2 });
});
afterAll(async () => {
  await database.close();
  await proxy.stop();
  await fixture.close();
});

/** A project with one call, all in the same hour. */
async function calledProject() {
  const project = await insertProject(fixture);
  const call = { billingAccountId: project.billingAccountId, projectId: project.id, endpointId: "ep_00000001" };
  const [callId = ""] = await makeCalls(fixture, [{ ...call, at: fixture.clock.now(), chargedMicros: micros(0) }]);
  return { projectId: project.id, callId };
}

/** How often a trace asks who has called in an hour; every time is refused, and it fails if it has no other way. */
async function trace(actor: Actor | undefined, callId: string) {
  const ctx: ServiceContext = { ...fixture.as(actor), database, db: database.db };
  await proxy.restore();
  proxy.failStatements(/usage_hourly/, 1);
  const outcome = await traceCall({ ctx, input: { callId } }).then(
    (found) => found.call.id,
    (error: unknown) => (error as { code?: unknown }).code,
  );
  return { outcome, asked: 1 - proxy.ordersLeft };
}

test("a person's trace asks about the calls of their own projects alone", async () => {
  const own = await calledProject();
  const other = await calledProject();
  const viewer = await insertMember(fixture, own.projectId, "viewer");
  expect(await trace(viewer, own.callId)).toEqual({ outcome: own.callId, asked: 0 });
  expect(await trace(viewer, other.callId)).toEqual({ outcome: "NOT_FOUND", asked: 0 });
  expect(await trace(undefined, other.callId)).toEqual({ outcome: "UNAUTHORIZED", asked: 0 });
  // One who left a project sees its calls no more.
  await database.sql`delete from project_members where project_id = ${own.projectId}`;
  expect(await trace(viewer, own.callId)).toEqual({ outcome: "NOT_FOUND", asked: 0 });
});

test("operators and services find the calls of every project", async () => {
  const { callId } = await calledProject();
  for (const actor of [OPERATOR, SYSTEM]) {
    expect((await traceCall({ ctx: fixture.as(actor), input: { callId } })).call.id).toBe(callId);
  }
});
