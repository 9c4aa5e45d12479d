import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { AlertChannel } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceFixture } from "../../test/serviceFixture.ts";
import { createServiceFixture, insertMember, insertProject, OPERATOR, SYSTEM } from "../../test/serviceFixture.ts";
import { makeCalls, micros } from "../../test/usageFixture.ts";
import { OutboundClient } from "../outbound/index.ts";
import { provisionCustomer } from "../seed/index.ts";
import {
  acknowledgeAlert,
  createRule,
  evaluateRules,
  listAlerts,
  listRules,
  reportAlert,
  sendAlertMessages,
} from "./index.ts";
import { sealChannels } from "./internal.ts";

const LOOPBACK = { outboundAllowedNetworks: ["127.0.0.0/8"] };
let fixture: ServiceFixture;
let port: number;
const received: { path: string; body: Record<string, unknown> }[] = [];
const answers = new Map<string, { status: number; headers?: Record<string, string> }>();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const path = request.url ?? "";
    received.push({ path, body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown> });
    const answer = answers.get(path) ?? { status: 200 };
    response.writeHead(answer.status, answer.headers).end();
  });
});
const outbound = new OutboundClient({ allowedNetworks: ["127.0.0.0/8"] });

beforeAll(async () => {
  fixture = await createServiceFixture();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  await outbound.close();
  server.closeAllConnections();
  server.close();
  await fixture.close();
});

async function newRule(kind: "spendAbove" | "noUsage", channels: (path: string) => AlertChannel[]) {
  const project = await insertProject(fixture);
  const owner = await insertMember(fixture, project.id, "owner");
  const path = `/${newId("event")}`;
  const rule = await createRule({
    ctx: fixture.as(owner, LOOPBACK),
    input: {
      projectId: project.id,
      kind,
      name: "Weather <!channel>",
      windowHours: 1,
      ...(kind === "spendAbove" ? { thresholdMicros: micros(1_000) } : {}),
      channels: channels(`http://127.0.0.1:${port}${path}`),
    },
  });
  return { project, owner, rule, path };
}

async function call(project: { id: string; billingAccountId: string }, charged: number): Promise<void> {
  await makeCalls(fixture, [
    {
      billingAccountId: project.billingAccountId,
      projectId: project.id,
      endpointId: "ep_00000000test",
      at: fixture.clock.now(),
      chargedMicros: micros(charged),
    },
  ]);
}
const evaluate = async () => {
  fixture.clock.advanceMs(10 * 60_000);
  return evaluateRules({ ctx: fixture.as(SYSTEM) });
};
const send = () => sendAlertMessages({ ctx: fixture.as(SYSTEM), outbound });
const sentTo = (path: string) => received.filter((one) => one.path === path).map(({ body }) => body);

test("a rule fires once a crossing, on every channel, and says when it is over", async () => {
  const slackOf = (url: string) => `${url}-slack`;
  const { project, owner, path } = await newRule("spendAbove", (url) => [
    { kind: "webhook", url },
    { kind: "slack", url: slackOf(url) },
  ]);
  await evaluate();
  await call(project, 5_000);
  // Two sweeps at once fire once.
  fixture.clock.advanceMs(10 * 60_000);
  await Promise.all([evaluateRules({ ctx: fixture.as(SYSTEM) }), evaluateRules({ ctx: fixture.otherProcess(SYSTEM) })]);
  await evaluate();
  await send();
  expect(sentTo(path)).toMatchObject([{ type: "alert.fired", title: "Weather <!channel>" }]);
  expect(sentTo(`${path}-slack`)).toMatchObject([{ text: expect.stringContaining("&lt;!channel&gt;") }]);
  const input = { projectId: project.id, limit: 10 };
  const [fired, ...more] = (await listAlerts({ ctx: fixture.as(owner), input })).items;
  expect(more).toEqual([]);
  expect(fired).toMatchObject({ resolvedAt: null, acknowledgedAt: null });
  const acknowledged = await acknowledgeAlert({ ctx: fixture.as(owner), input: { id: fired?.id ?? "" } });
  expect(acknowledged.acknowledgedAt).toEqual(fixture.clock.now());
  fixture.clock.advanceMs(3 * 3_600_000);
  await evaluate();
  await evaluate();
  await send();
  expect(sentTo(path).map(({ type }) => type)).toEqual(["alert.fired", "alert.resolved"]);
  expect((await listAlerts({ ctx: fixture.as(owner), input })).items[0]?.resolvedAt).not.toBeNull();
});

test("a rule that cannot be looked at holds up no other", async () => {
  const broken = await newRule("spendAbove", (url) => [{ kind: "webhook", url }]);
  const other = await newRule("spendAbove", (url) => [{ kind: "webhook", url }]);
  const { db } = fixture.as();
  const { alertRules } = schema;
  // Sealed with a secret that the deployment has no more.
  await db.update(alertRules).set({ channelsSealed: "AAAA" }).where(eq(alertRules.id, broken.rule.id));
  await Promise.all([call(broken.project, 5_000), call(other.project, 5_000)]);
  expect(await evaluate()).toEqual({ changed: 1 });
  await send();
  expect([sentTo(broken.path).length, sentTo(other.path).length]).toEqual([0, 1]);
  await db.delete(alertRules).where(eq(alertRules.id, broken.rule.id));
});

test.each([
  ["UTC", 0],
  ["Asia/Kolkata", 1_800_000],
])("what happens just before an hour of %s ends is seen after it, and is no silence", async (timeZone, offsetMs) => {
  const spending = await newRule("spendAbove", (url) => [{ kind: "webhook", url }]);
  const silent = await newRule("noUsage", (url) => [{ kind: "webhook", url }]);
  const { billingAccounts } = schema;
  for (const { billingAccountId } of [spending.project, silent.project]) {
    await fixture.as().db.update(billingAccounts).set({ timeZone }).where(eq(billingAccounts.id, billingAccountId));
  }
  const { clock } = fixture;
  clock.advanceMs(2 * 3_600_000 - ((clock.nowMs() + offsetMs) % 3_600_000) - 60_000);
  await Promise.all([call(spending.project, 5_000), call(silent.project, 0)]);
  await evaluate();
  await send();
  expect([sentTo(spending.path).length, sentTo(silent.path).length]).toEqual([1, 0]);
  // 51 minutes later most of that hour is out of the window, and its spending with it.
  for (let sweep = 0; sweep < 5; sweep += 1) await evaluate();
  await send();
  expect(sentTo(spending.path).map(({ type }) => type)).toEqual(["alert.fired", "alert.resolved"]);
  for (let sweep = 0; sweep < 8; sweep += 1) await evaluate();
  await send();
  expect(sentTo(silent.path).map(({ type }) => type)).toEqual(["alert.fired"]);
});

test("a project that was never called is not silent; one that was, is", async () => {
  const { project, owner } = await newRule("noUsage", (url) => [{ kind: "webhook", url }]);
  await evaluate();
  const stateOf = async () =>
    (await listRules({ ctx: fixture.as(owner), input: { projectId: project.id, limit: 10 } })).items[0]?.state;
  expect(await stateOf()).toBe("unknown");
  await call(project, 0);
  await evaluate();
  expect(await stateOf()).toBe("ok");
  fixture.clock.advanceMs(3 * 3_600_000);
  await evaluate();
  expect(await stateOf()).toBe("firing");
});

test("a project that was deleted is looked at no more", async () => {
  const { project, path } = await newRule("noUsage", (url) => [{ kind: "webhook", url }]);
  await call(project, 0);
  await evaluate();
  const { db } = fixture.as();
  const { projects } = schema;
  await db.update(projects).set({ deletedAt: fixture.clock.now() }).where(eq(projects.id, project.id));
  fixture.clock.advanceMs(3 * 3_600_000);
  await evaluate();
  await send();
  expect(sentTo(path)).toEqual([]);
});

test("a channel that is down delays a message and loses none; a slow-down that it asks for is kept", async () => {
  const { project, path } = await newRule("spendAbove", (url) => [{ kind: "discord", url }]);
  await call(project, 5_000);
  answers.set(path, { status: 429, headers: { "retry-after": "600" } });
  await evaluate();
  await send();
  fixture.clock.advanceMs(599_000);
  await send();
  expect(sentTo(path)).toHaveLength(1);
  answers.delete(path);
  fixture.clock.advanceMs(1_000);
  await send();
  await send();
  expect(sentTo(path)).toHaveLength(2);
  expect(sentTo(path)[1]).toMatchObject({ allowed_mentions: { parse: [] } });
});

test("a long line at one channel comes as a drizzle and hides nobody else's message", async () => {
  const [busy, quiet] = [newId("event"), newId("event")];
  const { rule } = await newRule("spendAbove", (url) => [{ kind: "webhook", url }]);
  const insert = async (path: string, count: number) => {
    const ctx = fixture.as();
    const channel: AlertChannel = { kind: "webhook", url: `http://127.0.0.1:${port}/${path}` };
    const now = ctx.clock.now();
    const [alert] = await ctx.db
      .insert(schema.alerts)
      .values({ id: newId("alert"), ruleId: rule.id, projectId: rule.projectId, title: path, text: "", createdAt: now })
      .returning();
    const values = Array.from({ length: count }, () => ({
      id: newId("alertMessage"),
      alertId: alert?.id ?? "",
      ...{ target: path, channelSealed: sealChannels(ctx, [channel]), title: path, text: "", isResolved: false },
      ...{ status: "pending" as const, nextAttemptAt: now, createdAt: now },
    }));
    await ctx.db.insert(schema.alertMessages).values(values);
  };
  await insert(busy, 700);
  fixture.clock.advanceMs(1_000);
  await insert(quiet, 1);
  await Promise.all([send(), sendAlertMessages({ ctx: fixture.otherProcess(SYSTEM), outbound })]);
  expect([sentTo(`/${busy}`).length, sentTo(`/${quiet}`).length]).toEqual([expect.any(Number), 1]);
  expect(sentTo(`/${busy}`).length).toBeLessThanOrEqual(4);
  const before = sentTo(`/${busy}`).length;
  await send();
  expect(sentTo(`/${busy}`).length).toBe(before + 2);
});

describe("what a service reports", () => {
  const report = (action: string) =>
    reportAlert({
      ctx: fixture.as({ kind: "service", service: "renderer" }),
      input: { category: "upstream", action, label: "Slow", value: 12, metadata: { region: "eu" } },
    });

  test("is listed and taken on by operators, and by nobody else", async () => {
    const { id } = await report("slow");
    const operator = fixture.as(OPERATOR);
    const { items } = await listAlerts({ ctx: operator, input: { limit: 10 } });
    expect(items.find((item) => item.id === id)).toMatchObject({
      ...{ title: "upstream: slow", text: "Slow", details: { region: "eu", value: 12 } },
      ...{ projectId: null, billingAccountId: null, acknowledgedAt: null },
    });
    const { owner } = await newRule("noUsage", (url) => [{ kind: "webhook", url }]);
    await expect(listAlerts({ ctx: fixture.as(owner), input: { limit: 10 } })).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
    const stranger = acknowledgeAlert({ ctx: fixture.as(owner), input: { id } });
    await expect(stranger).rejects.toMatchObject({ code: "NOT_FOUND", reason: "alert_not_found" });
    expect((await acknowledgeAlert({ ctx: operator, input: { id } })).acknowledgedAt).toEqual(fixture.clock.now());
  });

  test("is mailed to every operator, once an hour for reports of a kind", async () => {
    const { db } = fixture.as();
    const email = `${newId("job").toLowerCase()}@operators.test`;
    await provisionCustomer({
      ctx: fixture.as(SYSTEM),
      input: { email, password: "seven green llamas", isOperator: true },
    });
    const mailed = async () => {
      const rows = await db.select().from(schema.emails).where(eq(schema.emails.recipient, email));
      return rows.filter(({ template }) => template === "alert").length;
    };
    await report("down");
    for (let again = 0; again < 5; again += 1) await report("down");
    expect(await mailed()).toBe(1);
    await report("full");
    expect(await mailed()).toBe(2);
    fixture.clock.advanceMs(3_600_000);
    await report("down");
    expect(await mailed()).toBe(3);
  });
});

test("whoever has left the project gets no mail of its rules any more", async () => {
  const { owner, project } = await newRule("noUsage", (url) => [{ kind: "webhook", url }]);
  const { db } = fixture.as();
  const { customers, emails, projectMembers } = schema;
  const member = await insertMember(fixture, project.id, "viewer");
  const customerId = member.kind === "customer" ? member.customerId : "";
  const [{ email } = { email: "" }] = await db.select().from(customers).where(eq(customers.id, customerId));
  const rule = {
    ...{ projectId: project.id, kind: "spendAbove" as const, name: "Spend", windowHours: 1 },
    ...{ thresholdMicros: micros(1_000), channels: [{ kind: "email" as const, to: email }] },
  };
  await createRule({ ctx: fixture.as(owner), input: rule });
  const mailed = async () => (await db.select().from(emails).where(eq(emails.recipient, email))).length;
  await call(project, 5_000);
  await evaluate();
  expect(await mailed()).toBe(1);
  await db.delete(projectMembers).where(eq(projectMembers.customerId, customerId));
  fixture.clock.advanceMs(3 * 3_600_000);
  await evaluate();
  expect(await mailed()).toBe(1);
});

test("mails go to people of the project alone, and URLs of channels are in no answer", async () => {
  const { owner, project, rule } = await newRule("spendAbove", (url) => [{ kind: "slack", url }]);
  expect(rule.channels).toEqual([{ kind: "slack", address: `127.0.0.1:${port}` }]);
  const input = {
    projectId: project.id,
    kind: "noUsage" as const,
    name: "Silence",
    windowHours: 1,
    channels: [{ kind: "email" as const, to: "stranger@example.test" }],
  };
  await expect(createRule({ ctx: fixture.as(owner), input })).rejects.toMatchObject({
    issues: [{ path: "channels.0.to" }],
  });
  const [row] = await fixture.as().db.select().from(schema.alertRules).where(eq(schema.alertRules.id, rule.id));
  expect(row?.channelsSealed).not.toContain("127.0.0.1");
});
