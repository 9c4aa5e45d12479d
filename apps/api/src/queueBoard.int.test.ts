import { QUEUES } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { Queues } from "@tollgate/messaging";
import { createTestNamespace } from "@tollgate/testing";
import { Worker } from "bullmq";
import { like } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mustCallRest } from "../test/callRest.ts";
import type { Person } from "../test/tenant.ts";
import { createCustomer, createOperator, signIn } from "../test/tenant.ts";
import type { TestApi } from "../test/testApi.ts";
import { startTestApi } from "../test/testApi.ts";

/** The operators' view of the queues, as a browser asks for it. */
let api: TestApi;
let queues: Queues;
let redis: { redisUrl: string; prefix: string; onError: () => void };
let operator: Person;
let customer: Person;

beforeAll(async () => {
  const namespace = await createTestNamespace();
  redis = { redisUrl: namespace.redisUrl, prefix: namespace.redisPrefix, onError: () => undefined };
  queues = new Queues(redis);
  api = await startTestApi({ queues });
  operator = await createOperator(api);
  customer = await createCustomer(api, "somebody@board.test");
}, 180_000);
beforeEach(async () => {
  operator = await signIn(api, operator);
  customer = await signIn(api, customer);
});
afterAll(async () => {
  await api.close();
  await queues.close();
});

const board = (path: string, init: RequestInit = {}) => fetch(`${api.url}/admin/queues${path}`, init);
const enter = (token: string) => board("/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });

/** The cookie that an operator's token is traded for. */
async function cookieOf(token = operator.token): Promise<string> {
  const cookie = (await enter(token)).headers.get("set-cookie")?.split(";")[0];
  if (cookie === undefined) throw new Error("No cookie");
  return cookie;
}

const read = async (path: string, cookie?: string) =>
  (await board(path, { headers: { accept: "text/html", ...(cookie === undefined ? {} : { cookie }) } })).status;

/** A job that has failed, of a mail that there is none of. */
async function failedJob(): Promise<string> {
  const id = newId("job");
  await queues.queue("email").add("emails.send", { emailId: newId("email") }, { jobId: id, attempts: 1 });
  const worker = new Worker(
    "email",
    async () => {
      throw new Error("no such mail");
    },
    { connection: { url: redis.redisUrl }, prefix: redis.prefix },
  );
  await expect.poll(async () => (await queues.queue("email").getJob(id))?.isFailed(), { timeout: 30_000 }).toBe(true);
  await worker.close();
  return id;
}

/** By action: rows of the same instant have no order. */
const audited = async () => {
  const { auditLog } = schema;
  const rows = await api.database.db.select().from(auditLog).where(like(auditLog.action, "admin.jobs.%"));
  return rows.map(({ action, actor, after }) => [action, actor, after?.["jobId"]]).sort();
};

describe("the board of the queues", () => {
  it("is a page to sign in on for whoever has no cookie, and nothing else of it is shown", async () => {
    const page = await board("", { headers: { accept: "text/html" } });
    expect([page.status, page.headers.get("x-frame-options") ?? page.headers.get("content-security-policy")]).toEqual([
      401,
      expect.stringMatching(/^default-src 'none'; style-src 'sha256-.*frame-ancestors 'none'$/),
    ]);
    expect(await page.text()).toContain("<form>");
    const script = /src="(static\/js\/main[^"]+)"/.exec(
      await (await board("/", { headers: { accept: "text/html", cookie: await cookieOf() } })).text(),
    )?.[1];
    for (const path of ["/api/queues", `/${script}`, "/queue/email", "/api/redis/stats"]) {
      expect([path, (await board(path)).status]).toEqual([path, 401]);
    }
    expect((await board(`/${script}`, { headers: { cookie: await cookieOf() } })).status).toBe(200);
  });

  it("lets operators in, and neither customers, services, impersonated sessions nor strangers", async () => {
    const entered = await enter(operator.token);
    expect(entered.status).toBe(204);
    expect(entered.headers.get("set-cookie")).toMatch(
      /^tollgate_queues=[\w.-]+; Path=\/admin\/queues; Max-Age=900; HttpOnly; SameSite=Strict$/,
    );
    const { accessToken } = await mustCallRest<{ accessToken: string }>(
      api.url,
      "admin.impersonate",
      { customerId: customer.customerId, reason: "a test" },
      operator.token,
    );
    for (const [token, status] of [
      [customer.token, 403],
      [api.serviceToken, 403],
      [accessToken, 403],
      ["nonsense", 401],
    ] as const) {
      const answer = await enter(token);
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([status, null]);
      const cookie = `tollgate_queues=${token}`;
      expect(await read("/api/queues", cookie)).toBe(token === api.serviceToken ? 401 : status);
    }
    expect((await board("/session", { method: "POST" })).status).toBe(401);
  });

  it("shows every queue with its jobs", async () => {
    await failedJob();
    const answer = await board("/api/queues", { headers: { cookie: await cookieOf() } });
    const { queues: shown } = (await answer.json()) as { queues: { name: string; counts: { failed: number } }[] };
    expect(shown.map(({ name }) => name).sort()).toEqual([...QUEUES].sort());
    expect(shown.find(({ name }) => name === "email")?.counts.failed).toBeGreaterThan(0);
  });

  it("ends at once when the operator signs out, is banned or is none any more", async () => {
    const cookie = await cookieOf();
    expect(await read("/api/queues", cookie)).toBe(200);
    await mustCallRest(api.url, "customers.logout", {}, operator.token);
    api.clock.advanceMs(501);
    expect(await read("/api/queues", cookie)).toBe(401);
    expect(await read("/", cookie)).toBe(401);

    operator = await signIn(api, operator);
    const other = await cookieOf();
    api.clock.advanceMs(15 * 60_000);
    expect(await read("/api/queues", other)).toBe(401);

    operator = await signIn(api, operator);
    const third = await cookieOf();
    const setOperator = (isOperator: boolean) =>
      api.database.sql`update customers set is_operator = ${isOperator} where id = ${operator.customerId}`;
    await setOperator(false);
    api.clock.advanceMs(501);
    expect(await read("/api/queues", third)).toBe(403);
    await setOperator(true);
  });

  it("retries and removes jobs from its own page alone, and writes down who did", async () => {
    const [retried, removed] = [await failedJob(), await failedJob()];
    const cookie = await cookieOf();
    const put = (path: string, origin: string | undefined) =>
      board(path, { method: "PUT", headers: { cookie, ...(origin === undefined ? {} : { origin }) } });
    const retry = `/api/queues/email/${retried}/retry`;
    for (const origin of [undefined, "https://elsewhere.test", "null"])
      expect((await put(retry, origin)).status).toBe(403);
    expect(await audited()).toEqual([]);
    const job = await queues.queue("email").getJob(retried);
    expect(await job?.isFailed()).toBe(true);

    expect((await put(retry, new URL(api.url).origin)).status).toBeLessThan(300);
    expect(await (await queues.queue("email").getJob(retried))?.getState()).toBe("waiting");
    expect((await put(`/api/queues/email/${removed}/clean`, "http://api.test")).status).toBeLessThan(300);
    expect(await queues.queue("email").getJob(removed)).toBeUndefined();
    const actor = `customer:${operator.customerId}`;
    expect(await audited()).toEqual([
      ["admin.jobs.remove", actor, removed],
      ["admin.jobs.retry", actor, retried],
    ]);
  });

  it("changes nothing else by hand", async () => {
    const cookie = await cookieOf();
    const headers = { cookie, origin: new URL(api.url).origin, "content-type": "application/json" };
    const before = await audited();
    for (const [method, path] of [
      ["POST", "/api/queues/payments/add"],
      ["PUT", "/api/queues/pause"],
      ["PUT", "/api/queues/email/pause"],
      ["PUT", "/api/queues/email/empty"],
      ["PUT", "/api/queues/email/obliterate"],
      ["PUT", "/api/queues/email/clean/failed"],
      ["PUT", "/api/queues/email/concurrency"],
      ["PATCH", "/api/queues/email/1/update-data"],
      ["PUT", "/api/queues/webhooks/job-schedulers/webhooks.sweep/remove"],
    ] as const) {
      expect([path, (await board(path, { method, headers, body: "{}" })).status]).toEqual([path, 403]);
    }
    expect(await audited()).toEqual(before);
  });
});

it("the board says that the queues are away, and does not hang", async () => {
  const away = new Queues({ redisUrl: "redis://127.0.0.1:1", prefix: "away", onError: () => undefined });
  const other = await startTestApi({ queues: away });
  const person = await createOperator(other);
  const headers = { authorization: `Bearer ${person.token}` };
  const entered = await fetch(`${other.url}/admin/queues/session`, { method: "POST", headers });
  const cookie = entered.headers.get("set-cookie")?.split(";")[0] ?? "";
  const answer = await fetch(`${other.url}/admin/queues/api/queues`, { headers: { cookie } });
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, "queues_unavailable"]);
  await other.close();
  await away.close();
});
