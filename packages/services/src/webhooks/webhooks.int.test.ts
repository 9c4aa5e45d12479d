import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { schema, withTransaction } from "@tollgate/db";
import type { Actor } from "@tollgate/kernel";
import { newId } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { OutboundClient } from "../outbound/index.ts";
import type { AnnouncedEvent } from "./index.ts";
import {
  createEndpoint,
  deleteEndpoint,
  deliverWebhooks,
  EndpointSlots,
  forgetWebhooks,
  listDeliveries,
  listEndpoints,
  queueWebhooks,
  redeliver,
  rotateSecret,
  sendTest,
  sweepWebhooks,
  updateEndpoint,
} from "./index.ts";

const LOOPBACK = { outboundAllowedNetworks: ["127.0.0.0/8"] };
interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let fixture: ServiceFixture;
let port: number;
let received: Received[] = [];
/** What each path answers; 200 for others, no answer at all for `hang`. */
const answers = new Map<string, { status: number; headers?: Record<string, string> } | "hang">();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const path = request.url ?? "";
    received.push({ path, headers: request.headers, body: Buffer.concat(chunks).toString() });
    const answer = answers.get(path) ?? { status: 200 };
    if (answer !== "hang") response.writeHead(answer.status, answer.headers).end("read\u0000it");
  });
});
const outbound = new OutboundClient({ allowedNetworks: ["127.0.0.0/8"] });
const slots = new EndpointSlots({ perEndpoint: 4, restrictedMax: 8 });

beforeAll(async () => {
  fixture = await createServiceFixture();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
beforeEach(() => {
  received = [];
});
afterAll(async () => {
  await outbound.close();
  server.closeAllConnections();
  server.close();
  await fixture.close();
});

async function newEndpoint(options: { events?: string[]; account?: boolean } = {}) {
  const project = await insertProject(fixture);
  const developer = await insertMember(fixture, project.id, "developer");
  const owner = await insertMember(fixture, project.id, "owner");
  if (owner.kind !== "customer") throw new Error("The owner is no customer");
  await fixture.as().db.insert(schema.billingAccountAdmins).values({
    billingAccountId: project.billingAccountId,
    customerId: owner.customerId,
    createdAt: fixture.clock.now(),
  });
  const path = `/${newId("event")}`;
  const { endpoint, secret } = await createEndpoint({
    ctx: fixture.as(owner, LOOPBACK),
    input: {
      ...(options.account === true ? { billingAccountId: project.billingAccountId } : { projectId: project.id }),
      url: `http://127.0.0.1:${port}${path}`,
      events: options.events ?? ["*"],
      description: "",
    },
  });
  return { project, developer, owner, endpoint, secret, path };
}

function eventOf(subject: string, data: Readonly<Record<string, unknown>>): AnnouncedEvent {
  return { id: newId("event"), subject, time: fixture.clock.now(), data };
}
const announce = (event: AnnouncedEvent) => withTransaction(fixture.as(SYSTEM), (ctx) => queueWebhooks(ctx, event));
const revoked = (projectId: string) =>
  eventOf("keys.revoked", { keyId: newId("key"), projectId, keyHash: "a hash that is nobody's business" });
const deliver = (endpointId: string) =>
  deliverWebhooks({ ctx: fixture.as(SYSTEM), input: { endpointId }, outbound, slots });
async function deliveriesOf(actor: Actor, endpointId: string) {
  return (await listDeliveries({ ctx: fixture.as(actor), input: { endpointId, limit: 50 } })).items;
}
async function jobsFor(endpointId: string): Promise<number> {
  const rows = await fixture.as().db.select().from(schema.outbox).where(eq(schema.outbox.name, "webhooks.deliver"));
  return rows.filter((row) => row.payload["endpointId"] === endpointId).length;
}
const headersOf = ({ headers }: Received): Record<string, string> => headers as Record<string, string>;
/** The clock of the test is not the wall's, and the library compares with the wall's: its own check is on the signature. */
const isSignedBy = (secret: string, { headers, body }: Received): boolean => {
  const {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures,
  } = headersOf({
    path: "",
    headers,
    body,
  });
  const expected = new Webhook(secret).sign(id ?? "", new Date(Number(timestamp) * 1_000), body);
  return (signatures ?? "").split(" ").includes(expected);
};

test("signatures are those of the specification's own vector", () => {
  const signed = new Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign(
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    new Date(1_614_265_330_000),
    '{"test": 2432232314}',
  );
  expect(signed).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

test("an event reaches the endpoint that asked for it, signed, with what the public catalogue names and nothing else", async () => {
  const { project, developer, endpoint, secret, path } = await newEndpoint({ events: ["keys.*"] });
  const event = revoked(project.id);
  await announce(event);
  await announce(eventOf("projects.renamed", { projectId: project.id, name: "Other" }));
  expect(await deliver(endpoint.id)).toEqual({ attempts: 1 });
  const [call, ...more] = received.filter((one) => one.path === path);
  expect(more).toEqual([]);
  if (call === undefined) throw new Error("Nothing arrived");
  expect(JSON.parse(call.body)).toEqual({
    id: event.id,
    type: "keys.revoked",
    version: 1,
    timestamp: fixture.clock.now().toISOString(),
    data: { keyId: event.data["keyId"], projectId: project.id },
  });
  expect(headersOf(call)["webhook-id"]).toBe(event.id);
  expect(isSignedBy(secret, call)).toBe(true);
  const [delivery] = await deliveriesOf(developer, endpoint.id);
  expect(delivery).toMatchObject({ status: "succeeded", attempts: 1, nextAttemptAt: null });
  expect(delivery?.attemptLog).toMatchObject([{ status: 200, error: null, body: "read\uFFFDit" }]);
});

test("an event that comes twice is one delivery, and each delivery has one job", async () => {
  const { project, endpoint, developer } = await newEndpoint();
  const event = revoked(project.id);
  await announce(event);
  await announce(event);
  expect(await deliveriesOf(developer, endpoint.id)).toHaveLength(1);
  expect(await jobsFor(endpoint.id)).toBe(1);
});

test("many workers at once deliver each event once", async () => {
  const { project, endpoint, path } = await newEndpoint();
  for (let index = 0; index < 12; index += 1) await announce(revoked(project.id));
  const processes = Array.from({ length: 6 }, () => new EndpointSlots({ perEndpoint: 4, restrictedMax: 8 }));
  await Promise.all(
    processes.map((mine, index) =>
      deliverWebhooks({
        ctx: index % 2 === 0 ? fixture.as(SYSTEM) : fixture.otherProcess(SYSTEM),
        input: { endpointId: endpoint.id },
        outbound,
        slots: mine,
      }),
    ),
  );
  const ids = received.filter((one) => one.path === path).map((one) => headersOf(one)["webhook-id"]);
  expect(ids).toHaveLength(12);
  expect(new Set(ids).size).toBe(12);
});

test("an endpoint of a billing account hears of its money and of all its projects; one of a project of that alone", async () => {
  const account = await newEndpoint({ account: true });
  const stranger = await newEndpoint();
  await announce(revoked(account.project.id));
  await announce(
    eventOf("balance.credited", {
      billingAccountId: account.project.billingAccountId,
      transactionId: newId("transaction"),
      grantId: newId("grant"),
      source: "paid",
      micros: "5000000",
    }),
  );
  const types = (await deliveriesOf(account.owner, account.endpoint.id)).map(({ eventType }) => eventType);
  expect(types.sort()).toEqual(["balance.credited", "keys.revoked"]);
  expect(await deliveriesOf(stranger.owner, stranger.endpoint.id)).toEqual([]);
});

test("a failure is tried again after the table, whether it was 500, 302, or no connection", async () => {
  const { project, developer, endpoint, path } = await newEndpoint();
  const waits: number[] = [];
  answers.set(path, { status: 500 });
  await announce(revoked(project.id));
  for (const answer of [{ status: 500 }, { status: 302, headers: { location: "/elsewhere" } }, { status: 404 }]) {
    answers.set(path, answer);
    await deliver(endpoint.id);
    const [delivery] = await deliveriesOf(developer, endpoint.id);
    const nextMs = delivery?.nextAttemptAt?.getTime() ?? 0;
    waits.push((nextMs - fixture.clock.nowMs()) / 1_000);
    // Not a moment early.
    fixture.clock.set(new Date(nextMs - 1));
    expect(await deliver(endpoint.id)).toEqual({ attempts: 0 });
    fixture.clock.set(new Date(nextMs));
  }
  expect(waits).toEqual([5, 300, 1_800]);
  expect(received.filter((one) => one.path === "/elsewhere")).toEqual([]);
  answers.delete(path);
  await sweepWebhooks({ ctx: fixture.as(SYSTEM) });
  expect(await deliver(endpoint.id)).toEqual({ attempts: 1 });
  const [delivery] = await deliveriesOf(developer, endpoint.id);
  expect(delivery).toMatchObject({ status: "succeeded", attempts: 4 });
  expect(delivery?.attemptLog.map(({ status }) => status)).toEqual([500, 302, 404, 200]);
});

test("after ten attempts it has failed, and can be sent again by hand under the same id", async () => {
  const { project, developer, endpoint, path } = await newEndpoint();
  answers.set(path, { status: 503 });
  await announce(revoked(project.id));
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    expect(await deliver(endpoint.id)).toEqual({ attempts: 1 });
    fixture.clock.advanceMs(24 * 3_600_000 - 1);
    fixture.clock.advanceMs(1);
    // What is measured here is the number of attempts, not the health of the endpoint.
    await fixture.as().db.update(schema.webhookEndpoints).set({ failingSince: null });
  }
  const [failed] = await deliveriesOf(developer, endpoint.id);
  expect(failed).toMatchObject({ status: "failed", attempts: 10, nextAttemptAt: null });
  answers.delete(path);
  const again = await redeliver({ ctx: fixture.as(developer), input: { id: failed?.id ?? "" } });
  expect(again).toMatchObject({ status: "pending", attempts: 0 });
  await deliver(endpoint.id);
  const ids = received.filter((one) => one.path === path).map((one) => headersOf(one)["webhook-id"]);
  expect(new Set(ids)).toEqual(new Set([failed?.messageId]));
  expect((await deliveriesOf(developer, endpoint.id))[0]).toMatchObject({ status: "succeeded" });
});

test("a worker that dies with a delivery loses it for a minute and no longer", async () => {
  const { project, developer, endpoint } = await newEndpoint();
  await announce(revoked(project.id));
  const dying = { send: () => Promise.reject(new Error("killed")) };
  await expect(
    deliverWebhooks({ ctx: fixture.as(SYSTEM), input: { endpointId: endpoint.id }, outbound: dying, slots }),
  ).rejects.toThrow("killed");
  const before = await jobsFor(endpoint.id);
  await sweepWebhooks({ ctx: fixture.as(SYSTEM) });
  expect(await jobsFor(endpoint.id)).toBe(before);
  fixture.clock.advanceMs(60_000);
  await sweepWebhooks({ ctx: fixture.as(SYSTEM) });
  expect(await jobsFor(endpoint.id)).toBe(before + 1);
  await deliver(endpoint.id);
  expect((await deliveriesOf(developer, endpoint.id))[0]).toMatchObject({ status: "succeeded", attempts: 2 });
});

test("410 switches the endpoint off at once and tells those who are responsible; switched on again it goes on", async () => {
  const { project, owner, developer, endpoint, path } = await newEndpoint();
  answers.set(path, { status: 410 });
  await announce(revoked(project.id));
  await deliver(endpoint.id);
  const [row] = (await listEndpoints({ ctx: fixture.as(developer), input: { projectId: project.id, limit: 9 } })).items;
  expect(row).toMatchObject({ status: "disabled", disabledReason: "gone" });
  const { db } = fixture.as();
  const mails = await db.select().from(schema.emails).where(eq(schema.emails.template, "webhookDisabled"));
  expect(mails).toHaveLength(1);
  const announced = await db
    .select({ payload: schema.outbox.payload })
    .from(schema.outbox)
    .where(eq(schema.outbox.name, "webhooks.endpointDisabled"));
  expect(announced.map(({ payload }) => payload)).toContainEqual({
    endpointId: endpoint.id,
    projectId: project.id,
    reason: "gone",
    host: `127.0.0.1:${port}`,
  });
  await announce(revoked(project.id));
  expect(await deliveriesOf(developer, endpoint.id)).toHaveLength(1);
  await expect(sendTest({ ctx: fixture.as(owner), input: { id: endpoint.id } })).rejects.toMatchObject({
    reason: "endpoint_disabled",
  });
  answers.delete(path);
  await updateEndpoint({ ctx: fixture.as(owner, LOOPBACK), input: { id: endpoint.id, isEnabled: true } });
  await sendTest({ ctx: fixture.as(owner), input: { id: endpoint.id } });
  expect(await deliver(endpoint.id)).toEqual({ attempts: 1 });
});

test("an endpoint that lets nothing through for five days is switched off", async () => {
  const { project, developer, endpoint, path } = await newEndpoint();
  answers.set(path, { status: 500 });
  for (let day = 0; day <= 5; day += 1) {
    await announce(revoked(project.id));
    await deliver(endpoint.id);
    fixture.clock.advanceMs(24 * 3_600_000);
  }
  const [row] = (await listEndpoints({ ctx: fixture.as(developer), input: { projectId: project.id, limit: 9 } })).items;
  expect(row).toMatchObject({ status: "disabled", disabledReason: "failing" });
  await forgetWebhooks({ ctx: fixture.as(SYSTEM) });
  const statuses = (await deliveriesOf(developer, endpoint.id)).map(({ status }) => status);
  expect(statuses).toContain("failed");
});

test("after a rotation both secrets sign until the overlap is over", async () => {
  const { owner, endpoint, secret, path } = await newEndpoint();
  const rotated = await rotateSecret({ ctx: fixture.as(owner), input: { id: endpoint.id, overlapSeconds: 3_600 } });
  const signers = async (): Promise<boolean[]> => {
    received = [];
    await sendTest({ ctx: fixture.as(owner), input: { id: endpoint.id } });
    await deliver(endpoint.id);
    const call = received.find((one) => one.path === path);
    if (call === undefined) throw new Error("Nothing arrived");
    return [isSignedBy(secret, call), isSignedBy(rotated.secret, call)];
  };
  expect(await signers()).toEqual([true, true]);
  fixture.clock.advanceMs(3_600_000);
  expect(await signers()).toEqual([false, true]);
});

test("secrets are sealed at rest and in no answer but the first", async () => {
  const { owner, project, endpoint, secret } = await newEndpoint();
  const [row] = await fixture
    .as()
    .db.select()
    .from(schema.webhookEndpoints)
    .where(eq(schema.webhookEndpoints.id, endpoint.id));
  const listed = await listEndpoints({ ctx: fixture.as(owner), input: { projectId: project.id, limit: 9 } });
  expect(JSON.stringify([row, listed])).not.toContain(secret.slice(6));
});

test("a private URL is refused when it is saved, and one that is there already when it is called", async () => {
  const { owner, developer, project, endpoint } = await newEndpoint();
  await expect(
    createEndpoint({
      ctx: fixture.as(owner),
      input: { projectId: project.id, url: "https://169.254.169.254/latest", events: ["*"], description: "" },
    }),
  ).rejects.toMatchObject({ code: "BAD_REQUEST", issues: [{ path: "url" }] });
  await announce(revoked(project.id));
  const strict = new OutboundClient();
  await deliverWebhooks({ ctx: fixture.as(SYSTEM), input: { endpointId: endpoint.id }, outbound: strict, slots });
  await strict.close();
  const [delivery] = await deliveriesOf(developer, endpoint.id);
  expect(delivery?.attemptLog).toMatchObject([{ status: null, error: "The address is private or reserved" }]);
  expect(received).toEqual([]);
});

test("endpoints are their owners' business alone", async () => {
  const { project, endpoint } = await newEndpoint();
  const viewer = await insertMember(fixture, project.id, "viewer");
  const stranger = await insertMember(fixture, (await insertProject(fixture)).id, "owner");
  const input = { id: endpoint.id };
  await expect(deleteEndpoint({ ctx: fixture.as(viewer), input })).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(deleteEndpoint({ ctx: fixture.as(stranger), input })).rejects.toMatchObject({
    code: "NOT_FOUND",
    reason: "webhook_endpoint_not_found",
  });
  await expect(deliver(endpoint.id).then(() => deliverAs(OPERATOR, endpoint.id))).rejects.toMatchObject({
    code: "FORBIDDEN",
  });
});
const deliverAs = (actor: Actor, endpointId: string) =>
  deliverWebhooks({ ctx: fixture.as(actor), input: { endpointId }, outbound, slots });

test("of a deleted endpoint nothing is left but its log, and nothing is sent to it", async () => {
  const { project, owner, developer, endpoint } = await newEndpoint();
  await announce(revoked(project.id));
  await deleteEndpoint({ ctx: fixture.as(owner), input: { id: endpoint.id } });
  expect(await deliver(endpoint.id)).toEqual({ attempts: 0 });
  await expect(deliveriesOf(developer, endpoint.id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { webhookDeliveries, webhookEndpoints } = schema;
  const [row] = await fixture.as().db.select().from(webhookEndpoints).where(eq(webhookEndpoints.id, endpoint.id));
  expect(row).toMatchObject({ secretSealed: "", previousSecretSealed: null });
  fixture.clock.advanceMs(4 * 24 * 3_600_000 + 1);
  await forgetWebhooks({ ctx: fixture.as(SYSTEM) });
  fixture.clock.advanceMs(30 * 24 * 3_600_000);
  await forgetWebhooks({ ctx: fixture.as(SYSTEM) });
  const left = await fixture
    .as()
    .db.select()
    .from(webhookDeliveries)
    .where(and(eq(webhookDeliveries.endpointId, endpoint.id)));
  expect(left).toEqual([]);
});

test("a slow endpoint holds up nobody else", async () => {
  const slow = await newEndpoint();
  const quick = await Promise.all(Array.from({ length: 5 }, () => newEndpoint()));
  answers.set(slow.path, "hang");
  await announce(revoked(slow.project.id));
  const aborting = deliver(slow.endpoint.id);
  const startedMs = performance.now();
  for (const { project } of quick) await announce(revoked(project.id));
  await Promise.all(quick.map(({ endpoint }) => deliver(endpoint.id)));
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  for (const { path } of quick) expect(received.filter((one) => one.path === path)).toHaveLength(1);
  server.closeAllConnections();
  await aborting;
  expect((await deliveriesOf(slow.owner, slow.endpoint.id))[0]).toMatchObject({ status: "pending", attempts: 1 });
});
