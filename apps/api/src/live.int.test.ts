import { createTollgateClient } from "@tollgate/client";
import type { LiveUsage, Session } from "@tollgate/contracts";
import { PUSH_SUBJECTS } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newCallId, newId, silentLogger } from "@tollgate/kernel";
import { PushBus } from "@tollgate/messaging";
import { foldCalls, formatCallRecord } from "@tollgate/services/metering";
import { testUrls } from "@tollgate/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { mustCallRest } from "../test/callRest.ts";
import type { Person, Tenant } from "../test/tenant.ts";
import { createCustomer, createOperator, createTenant, openIncident, publishWeather, signIn } from "../test/tenant.ts";
import type { TestApi } from "../test/testApi.ts";
import { startTestApi } from "../test/testApi.ts";

/** Streams as clients see them: what they are sent, who may have them, and how they end. */
let bus: PushBus;
let api: TestApi;
let operator: Person;
let tenant: Tenant;

beforeAll(async () => {
  bus = new PushBus({ url: testUrls().natsUrl, name: "live test", logger: silentLogger });
  api = await startTestApi({ bus });
  operator = await createOperator(api);
  tenant = await createTenant(api, "live", {
    operator,
    endpointId: await publishWeather(api),
    incidentId: await openIncident(api, operator),
  });
  operator = await signIn(api, operator);
});
afterAll(async () => {
  await api.close();
  await bus.close();
});

/** Folds some calls of the tenant, as the workers do. */
async function fold(count: number, on: TestApi = api): Promise<void> {
  const { prj: projectId = "", ba: billingAccountId = "", key: keyId = "", ep: endpointId = "" } = tenant.ids;
  const source = `${newId("gateway")}.0`;
  const records = Array.from({ length: count }, (_, index) =>
    formatCallRecord({
      sequence: index + 1,
      id: newCallId(on.clock.nowMs()),
      holderId: source,
      billingAccountId,
      projectId,
      keyId,
      endpointId,
      mode: "live",
      outcome: index === 0 ? "failed" : "charged",
      status: index === 0 ? 502 : 200,
      latencyMs: 5,
      units: 1,
      unitPriceMicros: 100,
      chargedMicros: index === 0 ? 0 : 100,
      requestBytes: 1,
      responseBytes: 1,
      draws: "",
    }),
  );
  const folded = await foldCalls(on.database, on.clock, { source, sequence: 1, records: records.join(";") });
  bus.publish(PUSH_SUBJECTS.usage, folded);
}

/** A stream over plain HTTP, read as it comes. */
const openStream = (token: string | undefined, headers: Record<string, string> = {}, on: TestApi = api) =>
  openStreamOf(`usage/live?projectId=${tenant.ids["prj"]}`, token, headers, on);

async function openStreamOf(
  path: string,
  token: string | undefined,
  headers: Record<string, string> = {},
  on: TestApi = api,
) {
  const closing = new AbortController();
  onTestFinished(() => closing.abort());
  const response = await fetch(`${on.url}/rest/${path}`, {
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    signal: closing.signal,
  });
  const seen = { text: "", isOver: false };
  if (response.status === 200) {
    void (async () => {
      try {
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) seen.text += chunk;
      } catch {
        // Cut: over as well.
      }
      seen.isOver = true;
    })();
  }
  return { response, seen, close: () => closing.abort() };
}

const WITHIN_A_SECOND = { timeout: 1_000, interval: 10 };
const SOON = { timeout: 5_000, interval: 10 };

test("the typed client is sent the state at once and what changes, amounts as bigints", async () => {
  const states: LiveUsage[] = [];
  const client = createTollgateClient({ url: api.url, token: tenant.people.viewer.token });
  const subscription = client.usage.live.subscribe(
    { projectId: tenant.ids["prj"] ?? "" },
    { onData: ({ data }) => void states.push(data) },
  );
  onTestFinished(() => subscription.unsubscribe());
  await expect.poll(() => states.length, SOON).toBe(1);
  const before = states[0]?.today ?? { calls: 0, failures: 0, chargedMicros: 0n };
  api.clock.advanceMs(2_000);
  await fold(11);
  await expect.poll(() => states.at(-1)?.today.calls, WITHIN_A_SECOND).toBe(before.calls + 10);
  expect(states.at(-1)?.today).toMatchObject({
    failures: before.failures + 1,
    chargedMicros: BigInt(before.chargedMicros) + 1_000n,
  });
  expect(states.at(-1)?.perSecond).toEqual({ calls: 5, failures: 0.5, chargedMicros: 500n });
  // Nothing more happens: the rates fall.
  api.clock.advanceMs(10_000);
  await expect.poll(() => states.at(-1)?.perSecond?.calls, SOON).toBeLessThan(5);
});

test("a refusal reaches the typed client as an error with its code", async () => {
  const client = createTollgateClient({ url: api.url, token: operator.token });
  const error = await new Promise<unknown>((resolve) => {
    client.usage.live.subscribe({ projectId: newId("project") }, { onError: resolve });
  });
  expect(error).toMatchObject({ data: { code: "NOT_FOUND", reason: "project_not_found" } });
});

test("over plain HTTP a message has an id, and who names it is not sent the same again", async () => {
  const first = await openStream(tenant.people.viewer.token);
  expect(first.response.headers.get("content-type")).toBe("text/event-stream");
  await expect.poll(() => first.seen.text, SOON).toMatch(/^id: \S+\ndata: \{.*\}\n\n$/);
  const [, id = "", data = ""] = /id: (\S+)\ndata: (.*)\n/.exec(first.seen.text) ?? [];
  expect(JSON.parse(data)).toMatchObject({ today: { chargedMicros: expect.stringMatching(/^\d+$/) } });
  const opening = openStream(tenant.people.viewer.token, { "last-event-id": id });
  await fold(2);
  const again = await opening;
  await expect.poll(() => again.seen.text, SOON).toContain("data: ");
  expect(again.seen.text).not.toContain(`id: ${id}\n`);
});

test("a notification is on the stream of whoever it is for within seconds, and on nobody else's", async () => {
  const [viewer, developer] = [tenant.people.viewer, tenant.people.developer];
  const streams = await Promise.all([viewer, developer].map(({ token }) => openStreamOf("notifications/live", token)));
  for (const { seen } of streams) await expect.poll(() => seen.text, SOON).toContain('"unread":0');
  const text = "The monthly spend cap was changed";
  await api.system.db.insert(schema.notifications).values({
    ...{ id: newId("notification"), customerId: viewer.customerId, eventId: newId("event"), text },
    ...{ type: "projects.spendCapChanged", projectId: tenant.ids["prj"], createdAt: api.clock.now() },
  });
  await expect.poll(() => streams[0]?.seen.text, SOON).toContain(text);
  expect(streams[0]?.seen.text).toContain('"unread":1');
  expect(streams[1]?.seen.text).not.toContain(text);
});

describe("a stream ends within a second when its caller", () => {
  test("signs out of the session that opened it", async () => {
    const { token } = await signIn(api, tenant.people.developer);
    const { seen } = await openStream(token);
    await expect.poll(() => seen.text, SOON).toContain("data: ");
    await mustCallRest(api.url, "customers.logout", undefined, token);
    await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
    expect(seen.text).toMatch(/event: problem\ndata: .*"code":"session_ended"/);
  });

  test("is banned by an operator", async () => {
    const { token, customerId } = await signIn(api, tenant.people.billing);
    const { seen } = await openStream(token);
    await expect.poll(() => seen.text, SOON).toContain("data: ");
    await mustCallRest(api.url, "customers.ban", { id: customerId, reason: "Misuse" }, operator.token);
    await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
  });

  test("is banned, or revokes the session, whatever the stream is about", async () => {
    const paths = ["notifications/live", `balance/live?billingAccountId=${tenant.ids["ba"]}`];
    const { token, customerId } = await signIn(api, tenant.people.neighbour);
    const watched = await Promise.all(paths.map((path) => openStreamOf(path, token)));
    const another = await signIn(api, tenant.people.neighbour);
    const revoked = await openStreamOf("notifications/live", another.token);
    for (const { seen } of [...watched, revoked]) await expect.poll(() => seen.text, SOON).toContain("data: ");
    const { items } = await mustCallRest<{ items: Session[] }>(api.url, "customers.listSessions", {}, another.token);
    const current = items.find(({ isCurrent }) => isCurrent);
    await mustCallRest(api.url, "customers.revokeSession", { id: current?.id }, token);
    await expect.poll(() => revoked.seen.isOver, WITHIN_A_SECOND).toBe(true);
    expect(watched.map(({ seen }) => seen.isOver)).toEqual([false, false]);
    await mustCallRest(api.url, "customers.ban", { id: customerId, reason: "Misuse" }, operator.token);
    await expect.poll(() => watched.every(({ seen }) => seen.isOver), WITHIN_A_SECOND).toBe(true);
    for (const { seen } of watched) expect(seen.text).toMatch(/event: problem\ndata: .*"code":"session_ended"/);
  });

  test("administers the billing account no more", async () => {
    const billingAccountId = tenant.ids["ba"];
    const owner = await signIn(api, tenant.people.owner);
    const admin = await createCustomer(api, `admin.${newId("job").slice(4).toLowerCase()}@live.test`);
    await mustCallRest(api.url, "billing.addAdmin", { billingAccountId, email: admin.email }, owner.token);
    const { seen } = await openStreamOf(`balance/live?billingAccountId=${billingAccountId}`, admin.token);
    await expect.poll(() => seen.text, SOON).toContain("data: ");
    const { customerId } = admin;
    await mustCallRest(api.url, "billing.removeAdmin", { billingAccountId, customerId }, owner.token);
    await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
    expect(seen.text).toMatch(/event: problem\ndata: .*"code":"billing_account_not_found"/);
  });

  test("is no member any more", async () => {
    const { token, customerId } = await signIn(api, tenant.people.admin);
    const { seen } = await openStream(token);
    await expect.poll(() => seen.text, SOON).toContain("data: ");
    const owner = await signIn(api, tenant.people.owner);
    await mustCallRest(api.url, "projects.removeMember", { projectId: tenant.ids["prj"], customerId }, owner.token);
    await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
    expect(seen.text).toMatch(/event: problem\ndata: .*"code":"project_not_found"/);
  });
});

describe("what an operator sees through the eyes of a customer", () => {
  const impersonate = async (token: string) => {
    const input = { customerId: tenant.people.viewer.customerId, reason: "A test" };
    const seen = await mustCallRest<{ accessToken: string }>(api.url, "admin.impersonate", input, token);
    const stream = await openStreamOf("notifications/live", seen.accessToken);
    await expect.poll(() => stream.seen.text, SOON).toContain("data: ");
    return stream.seen;
  };

  test("goes on while the operator is signed in, and ends within a second of that", async () => {
    const lasting = await impersonate(operator.token);
    // Those who are still there are looked at each time.
    for (let round = 1; round <= 2; round += 1) {
      const { token } = await signIn(api, operator);
      const seen = await impersonate(token);
      await mustCallRest(api.url, "customers.logout", undefined, token);
      await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
      expect(seen.text).toMatch(/event: problem\ndata: .*"code":"session_ended"/);
    }
    expect(lasting.isOver).toBe(false);
  });

  test("ends when the quarter of an hour is over, however late it was opened", async () => {
    const seen = await impersonate((await signIn(api, operator)).token);
    api.clock.advanceMs(15 * 60_000);
    await expect.poll(() => seen.isOver, WITHIN_A_SECOND).toBe(true);
    operator = await signIn(api, operator);
  });
});

test("one caller has a bounded number of streams, and a closed one makes room", async () => {
  const { token } = await signIn(api, tenant.people.coOwner);
  const open = await Promise.all(Array.from({ length: 20 }, () => openStream(token)));
  expect(open.map(({ response }) => response.status)).toEqual(Array(20).fill(200));
  const refused = await openStream(token);
  expect(refused.response.status).toBe(429);
  expect(await refused.response.json()).toMatchObject({ code: "too_many_streams" });
  expect(refused.response.headers.get("retry-after")).toBe("5");
  open[0]?.close();
  await expect.poll(async () => (await openStream(token)).response.status, SOON).toBe(200);
});

test("without pushes, streams look for changes, and draining ends them without a last word", async () => {
  const alone = await startTestApi();
  const owner = await createOperator(alone);
  const { id: projectId } = await mustCallRest<{ id: string }>(
    alone.url,
    "projects.create",
    { name: "Alone" },
    (await signIn(alone, owner)).token,
  );
  const before = tenant;
  tenant = { ...tenant, ids: { ...tenant.ids, prj: projectId } };
  try {
    const { seen } = await openStream((await signIn(alone, owner)).token, {}, alone);
    await expect.poll(() => seen.text, SOON).toContain('"calls":0');
    await fold(3, alone);
    await expect.poll(() => seen.text, SOON).toContain('"calls":2');
    const startedAtMs = performance.now();
    await alone.close();
    expect(performance.now() - startedAtMs).toBeLessThan(900);
    await expect.poll(() => seen.isOver, SOON).toBe(true);
    expect(seen.text).not.toContain("event: problem");
  } finally {
    tenant = before;
  }
});

test("usage is exported as a file over REST and in pieces to the typed client", async () => {
  const { token } = await signIn(api, tenant.people.viewer);
  const projectId = tenant.ids["prj"] ?? "";
  const now = api.clock.nowMs();
  const input = { projectId, from: new Date(now - 86_400_000), to: new Date(now + 3_600_000) };
  const query = new URLSearchParams({ projectId, from: input.from.toISOString(), to: input.to.toISOString() });
  const response = await fetch(`${api.url}/rest/usage/exportCsv?${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  const file = await response.text();
  expect(file).toMatch(/^hour,api,.*\r\n[\dTZ:.-]+,weather,forecast,key_/);
  const client = createTollgateClient({ url: api.url, token });
  const pieces: string[] = [];
  await new Promise<void>((resolve, reject) => {
    client.usage.exportCsv.subscribe(input, {
      onData: (piece) => void pieces.push(piece),
      onComplete: resolve,
      onError: reject,
    });
  });
  expect(pieces.join("")).toBe(file);
});
