import { EVENT_SUBJECTS } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import type { MailchimpStandIn, MixpanelStandIn } from "@tollgate/testing/analytics";
import { startMailchimpStandIn, startMixpanelStandIn } from "@tollgate/testing/analytics";
import { eq, inArray } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, customerActor, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { consumersOf, DEFAULT_RETRY_POLICY, handleEach, handleEvent } from "../messages/index.ts";
import type { AnalyticsSink } from "./index.ts";
import { createSinks, eraseAnalytics, forwardEvents, listAnalyticsEvents, sendAnalytics } from "./index.ts";

let fixture: ServiceFixture;
let mixpanel: MixpanelStandIn;
let mailchimp: MailchimpStandIn;
let sinks: AnalyticsSink[];
beforeAll(async () => {
  fixture = await createServiceFixture();
  mixpanel = await startMixpanelStandIn();
  mailchimp = await startMailchimpStandIn();
  const { apiSecret, projectToken, gdprToken } = mixpanel;
  const { apiKey, listId } = mailchimp;
  sinks = createSinks({
    mixpanel: { apiSecret, projectToken, gdprToken, apiBase: mixpanel.url },
    mailchimp: { apiKey, listId, apiBase: mailchimp.url },
  });
});
afterAll(() => Promise.all([fixture.close(), mixpanel.stop(), mailchimp.stop()]));
beforeEach(async () => {
  await fixture.as().db.delete(schema.analyticsDeliveries);
  mixpanel.events.length = 0;
  mixpanel.batches.length = 0;
});

const { customers } = schema;

async function insertCustomer(
  change: Partial<typeof customers.$inferInsert> = {},
): Promise<{ id: string; email: string }> {
  const now = fixture.clock.now();
  const row = {
    id: newId("customer"),
    email: fixture.newEmail(),
    status: "verified" as const,
    createdAt: now,
    updatedAt: now,
  };
  await fixture
    .as()
    .db.insert(customers)
    .values({ ...row, ...change });
  return { ...row, ...change };
}

/** Hands an event to the consumer as the stream does. @returns the event's id */
async function announce(subject: string, data: object, id: string = newId("event")): Promise<string> {
  const [consumer] = consumersOf({ analytics: handleEach(EVENT_SUBJECTS, forwardEvents(sinks)) });
  if (consumer === undefined) throw new Error("There is no consumer");
  const time = fixture.clock.now().toISOString();
  const text = JSON.stringify({
    id,
    subject,
    version: 1,
    time,
    actor: "system:test",
    requestId: newId("request"),
    data,
  });
  await handleEvent({ ctx: fixture.as(SYSTEM), input: { consumer, text, policy: DEFAULT_RETRY_POLICY } });
  return id;
}
const send = () => sendAnalytics({ ctx: fixture.as(SYSTEM), sinks });
const listed = (input: object = {}) =>
  listAnalyticsEvents({ ctx: fixture.as(OPERATOR), input: { limit: 50, ...input } });
const signedUp = (customerId: string) => announce("customers.signedUp", { customerId, method: "email" });

test("an event that is delivered again is told once, and one that arrives twice at the sink is one there", async () => {
  const { id: customerId } = await insertCustomer();
  const eventId = await signedUp(customerId);
  await announce("customers.signedUp", { customerId, method: "email" }, eventId);
  mixpanel.failNext({ status: 503, isDone: true });
  await send();
  fixture.clock.advanceMs(60_000);
  await send();
  const insertId = eventId.replaceAll("_", "-");
  expect(mixpanel.events.map(({ event, properties }) => [event, properties["$insert_id"]])).toEqual([
    ["customers.signedUp", insertId],
  ]);
  expect(mixpanel.arrivals.get(insertId)).toBe(2);
  expect((await listed({ sink: "mixpanel" })).items).toMatchObject([{ eventId, status: "sent", attempts: 2 }]);
});

test("many events go in one batch, in their order", async () => {
  const { id: customerId } = await insertCustomer();
  for (let nth = 0; nth < 12; nth += 1) {
    await announce("customers.loggedIn", { customerId, sessionId: newId("session"), method: "password" });
    fixture.clock.advanceMs(10);
  }
  await send();
  expect(mixpanel.batches).toEqual([12]);
  const times = mixpanel.events.map(({ properties }) => Number(properties["time"]));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test("a sink that is away for a day delays and loses nothing, and holds up no other", async () => {
  const { id: customerId, email } = await insertCustomer();
  await signedUp(customerId);
  mixpanel.failNext(...Array.from({ length: 30 }, () => ({ status: 502 })));
  for (let hour = 0; hour < 30; hour += 1) {
    await send();
    if (hour === 0)
      expect([...mailchimp.members.values()]).toContainEqual({ email_address: email, status: "subscribed" });
    fixture.clock.advanceMs(3_600_000);
  }
  expect((await listed({ status: "pending" })).items).toMatchObject([{ sink: "mixpanel", lastError: "Answered 502" }]);
  await send();
  expect(mixpanel.events).toHaveLength(1);
});

test("who asks for a pause gets it", async () => {
  const { id: customerId } = await insertCustomer();
  await signedUp(customerId);
  mixpanel.failNext({ status: 429, headers: { "retry-after": "600" } });
  await send();
  fixture.clock.advanceMs(599_000);
  await send();
  expect(mixpanel.events).toHaveLength(0);
  fixture.clock.advanceMs(2_000);
  await send();
  expect(mixpanel.events).toHaveLength(1);
});

test("an event that the sink will never take is refused by itself, and the rest of its batch arrives", async () => {
  const { id: customerId } = await insertCustomer();
  const good = await signedUp(customerId);
  const bad = await announce("keys.expired", { keyId: newId("key"), projectId: newId("project"), keyHash: "0f" });
  const isBad = eq(schema.analyticsDeliveries.eventId, bad);
  await fixture
    .as()
    .db.update(schema.analyticsDeliveries)
    .set({ payload: { event: "", properties: {} } })
    .where(isBad);
  await send();
  const items = (await listed({ sink: "mixpanel" })).items.map(({ eventId, status }) => [eventId, status]);
  expect(items).toContainEqual([bad, "refused"]);
  expect(items).toContainEqual([good, "sent"]);
  expect(mixpanel.events).toHaveLength(1);
});

test("Mixpanel hears of ids and of the product's own words, and of nothing that people wrote", async () => {
  const { id: customerId, email } = await insertCustomer({ name: "Ada Lovelace" });
  const projectId = newId("project");
  await announce("projects.renamed", { projectId, name: "Ada's secret project" });
  await announce("keys.blocked", { keyId: newId("key"), projectId, keyHash: "ab".repeat(32), message: "Ada, pay!" });
  await announce("projects.memberJoined", { projectId, customerId, role: "viewer" });
  await signedUp(customerId);
  await send();
  const said = JSON.stringify(mixpanel.events);
  for (const personal of [email, "Ada", "secret project", "abab"]) expect(said).not.toContain(personal);
  expect(mixpanel.events.map(({ event }) => event).toSorted()).toEqual([
    "customers.signedUp",
    "keys.blocked",
    "projects.memberJoined",
    "projects.renamed",
  ]);
  expect(mixpanel.events.find(({ event }) => event === "projects.memberJoined")?.properties).toMatchObject({
    role: "viewer",
    projectId,
    distinct_id: customerId,
  });
});

test("the audience follows a customer: signs up, moves, leaves; and who has unsubscribed stays so", async () => {
  const person = await insertCustomer();
  await signedUp(person.id);
  await send();
  const moved = fixture.newEmail();
  await fixture.as().db.update(customers).set({ email: moved }).where(eq(customers.id, person.id));
  await announce("customers.updated", { customerId: person.id, fields: ["email"] });
  mailchimp.unsubscribe(person.email);
  await send();
  const of = (email: string) => [...mailchimp.members.values()].filter((member) => member.email_address === email);
  expect(of(person.email)).toEqual([]);
  expect(of(moved)).toEqual([{ email_address: moved, status: "unsubscribed" }]);
  await fixture.as().db.update(customers).set({ status: "deleted" }).where(eq(customers.id, person.id));
  await announce("customers.deleted", { customerId: person.id, erasedFrom: fixture.clock.now().toISOString() });
  await send();
  expect(of(moved)).toEqual([{ email_address: moved, status: "archived" }]);
  const silent = await insertCustomer();
  await fixture
    .as()
    .db.insert(schema.emailSuppressions)
    .values({ email: silent.email, reason: "unsubscribe", createdAt: fixture.clock.now() });
  await signedUp(silent.id);
  await send();
  expect(of(silent.email)).toEqual([]);
});

test("an erasure reaches every sink, comes again while one is away, and nothing is told of the person afterwards", async () => {
  const person = await insertCustomer();
  const { id: customerId, email } = person;
  await signedUp(customerId);
  await send();
  await announce("customers.loggedIn", { customerId, sessionId: newId("session"), method: "password" });
  const erase = () => eraseAnalytics(fixture.as(SYSTEM), sinks, { customerId, email });
  mixpanel.failNext({ status: 500 });
  await expect(erase()).rejects.toThrow("Answered 500");
  await erase();
  await erase();
  await send();
  expect(JSON.stringify(mixpanel.events)).not.toContain(customerId);
  expect(mixpanel.deletions).toContain(customerId);
  expect(JSON.stringify([...mailchimp.members.values()])).not.toContain(email);
  const { db } = fixture.as();
  for (const table of [schema.analyticsDeliveries, schema.analyticsContacts]) {
    expect(
      await db
        .select()
        .from(table)
        .where(inArray(table.customerId, [customerId])),
    ).toEqual([]);
  }
});

test("what the self-test does is told to nobody", async () => {
  const stranger = await insertCustomer({ isInternal: true });
  await signedUp(stranger.id);
  await signedUp(newId("customer"));
  expect((await listed()).items).toEqual([]);
});

test("a deployment without sinks keeps nothing", async () => {
  const { id: customerId } = await insertCustomer();
  const event = { id: newId("event"), subject: "customers.signedUp", version: 1, time: fixture.clock.now() } as const;
  await forwardEvents([])(fixture.as(SYSTEM), {
    ...event,
    actor: "system:test",
    requestId: newId("request"),
    data: { customerId, method: "email" },
  });
  expect((await listed()).items).toEqual([]);
});

test("only operators see what was told", async () => {
  const ctx = fixture.as(customerActor(newId("customer")));
  await expect(listAnalyticsEvents({ ctx, input: { limit: 5 } })).rejects.toMatchObject({ code: "FORBIDDEN" });
});
