import { schema, withTransaction } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { actorName, newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, SYSTEM } from "../../test/serviceFixture.ts";
import { formatUnits } from "./formatUnits.ts";
import { listNotifications, listSubscriptions, markAsRead, notifyPeople, subscribe, unsubscribe } from "./index.ts";

let fixture: ServiceFixture;
beforeAll(async () => {
  fixture = await createServiceFixture();
});
afterAll(() => fixture.close());

const revoked = (projectId: string, actor: Actor = SYSTEM, id = newId("event")) => ({
  id,
  subject: "keys.revoked",
  actor: actorName(actor),
  data: { keyId: newId("key"), projectId },
});
const tell = (event: Parameters<typeof notifyPeople>[1]) =>
  withTransaction(fixture.as(SYSTEM), (ctx) => notifyPeople(ctx, event));
const list = (actor: Actor) => listNotifications({ ctx: fixture.as(actor), input: { limit: 50, isUnreadOnly: false } });

test("whoever is responsible is told once of an event, and whoever did it is not", async () => {
  const project = await insertProject(fixture);
  const owner = await insertMember(fixture, project.id, "owner");
  const admin = await insertMember(fixture, project.id, "admin");
  const viewer = await insertMember(fixture, project.id, "viewer");
  const event = revoked(project.id, admin);
  await tell(event);
  await tell(event);
  expect(await list(owner)).toMatchObject({ unread: 1, items: [{ type: "keys.revoked", projectId: project.id }] });
  expect((await list(admin)).items).toEqual([]);
  expect((await list(viewer)).items).toEqual([]);
});

test("a subscription adds to that, once, until it ends; a stranger cannot subscribe", async () => {
  const project = await insertProject(fixture);
  const viewer = await insertMember(fixture, project.id, "viewer");
  const stranger = await insertMember(fixture, (await insertProject(fixture)).id, "owner");
  const input = { resourceType: "project", resourceId: project.id } as const;
  const ctx = fixture.as(viewer);
  expect(await subscribe({ ctx, input })).toEqual(await subscribe({ ctx, input }));
  expect((await listSubscriptions({ ctx })).items).toHaveLength(1);
  await tell(revoked(project.id));
  await unsubscribe({ ctx, input });
  await tell(revoked(project.id));
  expect((await list(viewer)).items).toHaveLength(1);
  for (const resourceType of ["project", "billingAccount", "api"] as const) {
    const foreign = { resourceType, resourceId: resourceType === "project" ? project.id : project.billingAccountId };
    await expect(subscribe({ ctx: fixture.as(stranger), input: foreign })).rejects.toMatchObject({ code: "NOT_FOUND" });
  }
});

test("whoever has left a project reads nothing more of it", async () => {
  const project = await insertProject(fixture);
  const owner = await insertMember(fixture, project.id, "owner");
  await tell(revoked(project.id));
  expect((await list(owner)).unread).toBe(1);
  await fixture.as().db.delete(schema.projectMembers).where(eq(schema.projectMembers.projectId, project.id));
  expect(await list(owner)).toEqual({ items: [], nextCursor: null, unread: 0 });
});

test("reading marks one's own alone", async () => {
  const project = await insertProject(fixture);
  const owner = await insertMember(fixture, project.id, "owner");
  const admin = await insertMember(fixture, project.id, "admin");
  for (let index = 0; index < 3; index += 1) await tell(revoked(project.id));
  const [first] = (await list(owner)).items;
  const ids = [first?.id ?? ""];
  expect(await markAsRead({ ctx: fixture.as(admin), input: { ids } })).toEqual({ unread: 3 });
  expect(await markAsRead({ ctx: fixture.as(owner), input: { ids } })).toEqual({ unread: 2 });
  expect(await markAsRead({ ctx: fixture.as(owner), input: {} })).toEqual({ unread: 0 });
  expect((await list(admin)).unread).toBe(3);
});

test("amounts are written with two places at least", () => {
  expect(["5000000", "1234500", "-10000", "1", ""].map(formatUnits)).toEqual([
    "5.00",
    "1.2345",
    "-0.01",
    "0.000001",
    "0.00",
  ]);
});
