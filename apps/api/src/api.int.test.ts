import { once } from "node:events";
import { Agent, request as sendRequest } from "node:http";
import { connect } from "node:net";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import { silentLogger, systemClock } from "@tollgate/kernel";
import type { AppRouter } from "@tollgate/routers";
import type { ServiceContext, ServiceSettings } from "@tollgate/services";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import { createAccessTokenAuthenticator, createTokenIssuer, exportCustomer } from "@tollgate/services/customers";
import { sendEmail } from "@tollgate/services/emails";
import { createOauthProviders } from "@tollgate/services/oauth";
import type { TestDatabase } from "@tollgate/testing";
import { createTestDatabase, testUrls } from "@tollgate/testing";
import { createTRPCClient, httpBatchLink } from "@trpc/client";
import superjson from "superjson";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestConfig } from "../test/testConfig.ts";
import { openTestConfig } from "../test/testConfig.ts";
import { ServiceTokens } from "./authentication.ts";
import type { ApiServer, ApiServerOptions } from "./createApiServer.ts";
import { createApiServer } from "./createApiServer.ts";
import type { Seeded } from "./seed.ts";
import { seed } from "./seed.ts";

const SERVICE_TOKEN = "svc_0123456789abcdef";
const PEOPLE = {
  admin: { email: "admin@example.com", password: "operator-pass-1" },
  demo: { email: "demo@example.com", password: "demo-pass-9x1" },
};
const settings: ServiceSettings = {
  masterSecret: "0123456789abcdef0123456789abcdef",
  publicApiUrl: "http://api.test",
  publicGatewayUrl: "http://gateway.test",
  publicWebUrl: "http://app.test",
  ...LIVE_SETTING_DEFAULTS,
};

let testDatabase: TestDatabase;
let database: Database;
let seeded: Seeded;
let api: ApiServer;
let testConfig: TestConfig;
let url: string;

async function startApi(overrides: Partial<ApiServerOptions> = {}): Promise<{ api: ApiServer; url: string }> {
  const clock = systemClock;
  const tokenIssuer = createTokenIssuer({ database, settings, clock });
  const { redisUrl, natsUrl, etcdUrl } = testUrls();
  const started = await createApiServer({
    resources: {
      database,
      clock,
      logger: silentLogger,
      settings,
      config: testConfig.config,
      tokenIssuer,
      oauthProviders: createOauthProviders({
        registrations: {},
        publicApiUrl: settings.publicApiUrl,
        returnOrigins: [settings.publicWebUrl],
        allowsLocalhost: false,
      }),
      accessTokens: createAccessTokenAuthenticator({ database, tokenIssuer, clock }),
      serviceTokens: new ServiceTokens(new Map([["billing-robot", SERVICE_TOKEN]])),
      trustedProxyHops: 0,
    },
    dependencies: { redisUrl, natsUrl, etcdUrl },
    cors: { origins: ["https://dashboard.example.com"], allowsLocalhost: false },
    ...overrides,
  });
  return { api: started, ...(await started.listen("127.0.0.1", 0)) };
}

const seedContext = (): ServiceContext => ({
  clock: systemClock,
  logger: silentLogger,
  actor: { kind: "system", task: "seed" },
  requestId: "req_seed",
  database,
  db: database.db,
  isInTransaction: false,
  settings,
});

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = createDatabase({ url: testDatabase.url, applicationName: "api-test" });
  seeded = await seed(seedContext(), { ...PEOPLE, demoKey: undefined });
  testConfig = await openTestConfig(database, systemClock);
  ({ api, url } = await startApi());
});

afterAll(async () => {
  await api.close(1_000);
  testConfig.close();
  await database.close();
  await testDatabase.drop();
});

function clientOf(token?: string) {
  return createTRPCClient<AppRouter>({
    links: [
      httpBatchLink({
        url: `${url}/trpc`,
        transformer: superjson,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      }),
    ],
  });
}

async function signIn(person: { email: string; password: string }) {
  const { accessToken } = await clientOf().customers.login.mutate(person);
  return clientOf(accessToken);
}

async function rest(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/rest/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("the seed", () => {
  it("makes an operator and a demo customer with ten dollars and a key, once, however often it runs", async () => {
    const again = await Promise.all([1, 2].map(() => seed(seedContext(), { ...PEOPLE, demoKey: seeded.demo.key })));
    expect(again).toEqual([seeded, seeded]);
    const demo = await signIn(PEOPLE.demo);
    const me = await demo.customers.me.query();
    expect(me.projects.map((project) => project.id)).toEqual([seeded.demo.projectId]);
    const { billingAccountId, projectId } = seeded.demo;
    expect(await demo.balance.current.query({ billingAccountId })).toMatchObject({ available: 10_000_000n });
    const { items } = await demo.keys.list.query({ projectId });
    expect(items).toMatchObject([{ name: "demo", mode: "live", status: "active" }]);
    const admin = await (await signIn(PEOPLE.admin)).customers.me.query();
    expect(admin.customer).toMatchObject({ isOperator: true, status: "verified" });
  });
});

describe("who is calling", () => {
  it("is a customer by an access token, and a service by its own token", async () => {
    expect((await rest("customers/me", {})).status).toBe(401);
    const asService = await rest(
      "customers/create",
      { email: "ada@example.com" },
      { authorization: `Bearer ${SERVICE_TOKEN}` },
    );
    expect(asService).toMatchObject({ status: 200, body: { email: "ada@example.com", status: "unverified" } });
    const demo = await signIn(PEOPLE.demo);
    await expect(demo.customers.create.mutate({ email: "eve@example.com" })).rejects.toMatchObject({
      data: { code: "FORBIDDEN" },
    });
  });

  it.each([
    ["a made-up token", "Bearer abc"],
    ["a token that was tampered with", "Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjdXNfMSJ9.AAAA"],
    ["another scheme", "Basic YTpi"],
  ])("is nobody with %s, which public procedures do not mind", async (_, authorization) => {
    expect(await rest("customers/me", {}, { authorization })).toMatchObject({ status: 401 });
    expect(await rest("billing/listTiers", {}, { authorization })).toMatchObject({ status: 200 });
  });

  it("does not learn of a stranger's records", async () => {
    const { billingAccountId, projectId } = seeded.demo;
    await rest("customers/create", { email: "mallory@example.com" }, { authorization: `Bearer ${SERVICE_TOKEN}` });
    const admin = await signIn(PEOPLE.admin);
    // An operator is no member of the project.
    await expect(admin.keys.list.query({ projectId })).rejects.toMatchObject({ data: { code: "NOT_FOUND" } });
    await expect(admin.balance.current.query({ billingAccountId })).resolves.toMatchObject({ billingAccountId });
  });

  it("is refused within a second of logging out", async () => {
    const { accessToken } = await clientOf().customers.login.mutate(PEOPLE.demo);
    const client = clientOf(accessToken);
    await client.customers.me.query();
    await client.customers.logout.mutate();
    await expect
      .poll(
        () =>
          client.customers.me.query().then(
            () => "let in",
            (error) => error.data.reason,
          ),
        { timeout: 1_000 },
      )
      .toBe("session_ended");
  });
});

describe("a copy of one's data", () => {
  it("is downloaded by the mailed link alone, is a file, and is kept by nothing on the way", async () => {
    const demo = await signIn(PEOPLE.demo);
    const { id } = await demo.customers.exportData.mutate();
    const worker: ServiceContext = { ...seedContext(), actor: { kind: "system", task: "customers.export" } };
    await exportCustomer({ ctx: worker, input: { exportId: id } });
    const mails: string[] = [];
    const transport = {
      send: async (mail: { readonly text: string }) => void mails.push(mail.text),
      close: async () => {},
    };
    const queued = await (await signIn(PEOPLE.admin)).emails.listSent.query({ template: "exportReady" });
    await sendEmail({ ctx: worker, input: { emailId: queued.items[0]?.id ?? "" }, transport });
    const token = /\/exports\/(tge_\w+)/.exec(mails[0] ?? "")?.[1];
    const response = await fetch(`${url}/exports/${token}`);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "content-disposition": 'attachment; filename="tollgate-export.json"',
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    });
    expect(await response.json()).toMatchObject({ customer: { email: PEOPLE.demo.email } });
    const wrong = await fetch(`${url}/exports/tge_${"x".repeat(32)}`);
    expect(wrong.status).toBe(404);
    expect(wrong.headers.get("content-type")).toContain("application/problem+json");
  });
});

describe("every answer", () => {
  it("names its request: the caller's own id if that is safe, or a new one", async () => {
    for (const path of ["/healthz", "/trpc/billing.listTiers", "/rest/billing/listTiers", "/nowhere"]) {
      const own = await fetch(url + path, { headers: { "x-request-id": "my-request.1" } });
      expect(own.headers.get("x-request-id")).toBe("my-request.1");
      const unsafe = await fetch(url + path, { headers: { "x-request-id": "a b;c" } });
      expect(unsafe.headers.get("x-request-id")).toMatch(/^req_[0-9A-Za-z]{22}$/);
    }
  });

  it("to an unknown path is a problem document", async () => {
    const response = await fetch(`${url}/nowhere?secret=1`);
    expect(response.status).toBe(404);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(await response.json()).toMatchObject({ status: 404, instance: "/nowhere", code: "not_found" });
  });

  it("lets listed origins read it, and no others", async () => {
    const ask = (origin: string, method = "GET") =>
      fetch(`${url}/trpc/billing.listTiers`, {
        method,
        headers: { origin, ...(method === "OPTIONS" ? { "access-control-request-method": "POST" } : {}) },
      });
    const allowed = await ask("https://dashboard.example.com");
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://dashboard.example.com");
    const preflight = await ask("https://dashboard.example.com", "OPTIONS");
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("authorization");
    for (const origin of ["https://evil.example", "http://localhost:3000"]) {
      expect((await ask(origin)).headers.get("access-control-allow-origin")).toBeNull();
    }
  });
});

describe("the status page", () => {
  it("is for everybody, brings no script, and shows an incident within seconds", async () => {
    const admin = await signIn(PEOPLE.admin);
    await admin.status.openIncident.mutate({ title: "Calls <b>crawl</b>", message: "We look for the cause." });
    const read = async () => fetch(`${url}/status`);
    await expect.poll(async () => (await read()).text(), { timeout: 30_000 }).toContain("Calls &#60;b&#62;crawl");
    const response = await read();
    expect(response.status).toBe(200);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(response.headers.get("cache-control")).toBe("public, max-age=15");
    expect(await response.text()).not.toContain("<script");
  });
});

describe("bad input", () => {
  const GET_QUERY = "/trpc/keys.read?input=";
  it.each([
    ["a malformed query input", "GET", `${GET_QUERY}%7B`, undefined, 401],
    ["a malformed batch", "GET", "/trpc/billing.listTiers,billing.listTiers?batch=1&input=%5B", undefined, 200],
    ["malformed JSON", "POST", "/trpc/customers.login", "{", 400],
    ["JSON that is no envelope", "POST", "/trpc/customers.login", "[]", 400],
    ["an envelope of the wrong kind", "POST", "/trpc/customers.login", '{"json":{"email":5,"password":[]}}', 400],
    [
      "a typed array in the envelope",
      "POST",
      "/trpc/customers.login",
      '{"json":1e9,"meta":{"values":[["typed-array","Float64Array"]]}}',
      400,
    ],
    [
      "a polluting path in the envelope",
      "POST",
      "/trpc/customers.login",
      '{"json":{},"meta":{"values":{"__proto__.x":["Date"]}}}',
      400,
    ],
    [
      "a NUL in a text",
      "POST",
      "/trpc/customers.login",
      '{"json":{"email":"a\\u0000@example.com","password":"x"}}',
      400,
    ],
    ["malformed JSON on REST", "POST", "/rest/customers/login", "{", 400],
    ["a path with a broken escape", "GET", "/trpc/%ZZ", undefined, 400],
    ["a REST path with a broken escape", "POST", "/rest/%ZZ/x", "{}", 404],
    ["an unknown procedure", "GET", "/trpc/nothing.here", undefined, 404],
    ["a page with a broken escape", "GET", "/%ZZ", undefined, 400],
    ["an unknown method", "PATCH", "/reference", "{}", 404],
  ])("like %s is answered as the caller's mistake", async (_, method, path, body, status) => {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
    expect(response.status).toBe(status);
    expect(await response.text()).not.toMatch(/internal/i);
  });

  it("of an unknown id is 404 and of a malformed one 400, naming the field", async () => {
    const demo = await signIn(PEOPLE.demo);
    await expect(demo.keys.read.query({ id: "key_00000000000000000000" })).rejects.toMatchObject({
      data: { code: "NOT_FOUND", httpStatus: 404, reason: "key_not_found" },
    });
    await expect(demo.keys.read.query({ id: "key_'; drop table keys" })).rejects.toMatchObject({
      data: { code: "BAD_REQUEST", issues: [{ path: "id" }] },
    });
  });

  it.each([
    ["a NUL in a name", { name: "a\u0000b" }, "name"],
    ["a name that is too long", { name: "x".repeat(101) }, "name"],
    ["an amount beyond 64 bits", { monthlySpendCapMicros: 2n ** 64n }, "monthlySpendCapMicros"],
    ["a year that no database holds", { expiresAt: new Date(8.64e15) }, "expiresAt"],
    ["a time before time", { expiresAt: new Date(-8.64e15) }, "expiresAt"],
    ["a network that is none", { allowedCidrs: ["10.0.0.0/99"] }, "allowedCidrs.0"],
  ])("like %s is 400 and names the field", async (_, field, path) => {
    const demo = await signIn(PEOPLE.demo);
    const { projectId } = seeded.demo;
    await expect(demo.keys.generate.mutate({ projectId, ...field })).rejects.toMatchObject({
      data: { code: "BAD_REQUEST", httpStatus: 400, issues: [{ path }] },
    });
  });

  it.each(["x", "AAAA", Buffer.from("9999999999999999:key_x").toString("base64url")])(
    "like the cursor %s is 400",
    async (cursor) => {
      const demo = await signIn(PEOPLE.demo);
      const { projectId, billingAccountId } = seeded.demo;
      for (const list of [
        demo.keys.list.query({ projectId, cursor }),
        demo.balance.ledger.query({ billingAccountId, cursor }),
      ]) {
        await expect(list).rejects.toMatchObject({ data: { code: "BAD_REQUEST", issues: [{ path: "cursor" }] } });
      }
    },
  );

  it.each(["/trpc/customers.login", "/rest/customers/login", "/"])(
    "of eleven megabytes to %s is refused before it is read",
    async (path) => {
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: Buffer.alloc(11 * 1024 * 1024, "x"),
      });
      expect(response.status).toBe(413);
    },
  );

  it("that never ends is cut off by the clock, and others are served meanwhile", async () => {
    const slow = await startApi({ timeouts: { headersMs: 300, requestMs: 600 } });
    try {
      const { hostname, port } = new URL(slow.url);
      const halves = [
        "POST /trpc/customers.login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{",
        "GET /trpc/billing.listTiers HTTP/1.1\r\nhost: x\r\n",
      ];
      const closed = halves.map(async (half) => {
        const socket = connect(Number(port), hostname);
        socket.write(half);
        const chunks: Buffer[] = [];
        socket.on("data", (chunk: Buffer) => chunks.push(chunk));
        await once(socket, "close");
        return Buffer.concat(chunks).toString("utf8");
      });
      expect((await fetch(`${slow.url}/healthz`)).status).toBe(200);
      for (const answer of await Promise.all(closed)) expect(answer).toMatch(/^(HTTP\/1\.1 408|$)/);
      expect((await fetch(`${slow.url}/healthz`)).status).toBe(200);
    } finally {
      await slow.api.close(1_000);
    }
  });
});

describe("the process", () => {
  it("is ready when the database answers and has every migration, and says what else is up", async () => {
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: "ready",
      settings: { source: "etcd", isHealthy: true, staleSince: null },
      dependencies: { database: { isUp: true }, redis: { isUp: true }, nats: { isUp: true }, etcd: { isUp: true } },
    });
  });

  it("is ready without Redis, NATS and etcd, and not without migrations", async () => {
    const nobody = "http://127.0.0.1:9";
    const alone = await startApi({ dependencies: { redisUrl: nobody, natsUrl: nobody, etcdUrl: nobody } });
    const response = await fetch(`${alone.url}/readyz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: "ready", dependencies: { redis: { isUp: false } } });
    await database.sql`alter table drizzle.__drizzle_migrations rename to hidden_migrations`;
    try {
      const unready = await fetch(`${alone.url}/readyz`);
      expect(unready.status).toBe(503);
      expect(await unready.json()).toMatchObject({ dependencies: { database: { isUp: false } } });
    } finally {
      await database.sql`alter table drizzle.hidden_migrations rename to __drizzle_migrations`;
      await alone.api.close(1_000);
    }
  });

  it("publishes its keys, its contract, its reference and its metrics", async () => {
    const jwks = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: Record<string, string>[] };
    expect(jwks.keys).toMatchObject([{ kty: "OKP", crv: "Ed25519", use: "sig" }]);
    expect(jwks.keys[0]).not.toHaveProperty("d");
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, unknown> };
    expect(document.paths).toHaveProperty("/rest/keys/generate");
    expect(await (await fetch(`${url}/reference`)).text()).toContain("keys.generate");
    expect(await (await fetch(`${url}/`)).text()).toContain("/reference");
    await rest("billing/listTiers", {});
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(
      /tollgate_api_call_duration_seconds_count\{procedure="billing.listTiers",transport="rest",code="OK"\} [1-9]/,
    );
  });

  it("answers everything that it has taken before it stops", async () => {
    const stopping = await startApi();
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const ask = (): Promise<{ status: number; connection: string | undefined }> =>
      new Promise((resolve, reject) => {
        // Argon2 keeps each of these busy long enough to be in flight when the server stops.
        const body = JSON.stringify({ json: { email: "nobody@example.com", password: "wrong" } });
        const request = sendRequest(`${stopping.url}/trpc/customers.login`, {
          agent,
          method: "POST",
          headers: { "content-type": "application/json" },
        });
        request.on("response", (response) => {
          response.resume();
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, connection: response.headers.connection }),
          );
        });
        request.on("error", reject);
        request.end(body);
      });
    await ask();
    const inFlight = Array.from({ length: 8 }, ask);
    // One answer is back, so the other seven have arrived and are being worked on.
    await Promise.race(inFlight);
    const closed = stopping.api.close(5_000);
    const answers = await Promise.all(inFlight);
    await closed;
    for (const { status } of answers) expect([401, 429]).toContain(status);
    await expect(fetch(`${stopping.url}/healthz`)).rejects.toThrow();
    agent.destroy();
  });
});
