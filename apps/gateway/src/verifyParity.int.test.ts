import { verifyKeyInput } from "@tollgate/contracts";
import { delay, newId, silentLogger, systemClock } from "@tollgate/kernel";
import { RateGate, RedisRateStore } from "@tollgate/messaging";
import { LIVE_SETTING_DEFAULTS } from "@tollgate/services";
import type { VerifyContext } from "@tollgate/services/keys";
import { generateKeyText, verifyKey } from "@tollgate/services/keys";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "./testing/client.ts";
import { call, problemCode } from "./testing/client.ts";
import type { LabKey } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** `keys.verify` promises services that embed the decision that the gateway makes: so both are asked the same. */
let lab: Lab;
let gateway: { readonly url: string };
let script: string;
let rateStore: RedisRateStore;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("shop", [
    { name: "paid" },
    { name: "free", priceMicros: 0 },
    { name: "quota", freePerMonth: 1 },
    { name: "units", unit: "page", unitsMax: 5 },
    { name: "retired", isRetired: true },
  ]);
  gateway = await lab.startGateway();
  const { redisUrl, redisPrefix: prefix } = lab.namespace;
  rateStore = new RedisRateStore({ redisUrl, prefix, onError: () => undefined });
  script = lab.upstream.script((request, response) => request.resume().on("end", () => response.end("served")));
});

afterAll(async () => {
  rateStore.close();
  await lab.close();
});

const context = (): VerifyContext => ({
  rates: new RateGate(rateStore, delay),
  clock: systemClock,
  logger: silentLogger,
  actor: { kind: "service", service: "embedder" },
  requestId: newId("request"),
  database: lab.database,
  db: lab.database.db,
  isInTransaction: false,
  settings: {
    masterSecret: "0123456789abcdef0123456789abcdef",
    publicApiUrl: "http://api.test",
    publicGatewayUrl: gateway.url,
    publicWebUrl: "http://app.test",
    ...LIVE_SETTING_DEFAULTS,
  },
});

const verify = (input: Record<string, unknown>) =>
  verifyKey({ ctx: context(), input: verifyKeyInput.parse({ address: "127.0.0.1", ...input }) });

/** An answer of the gateway in the words of a verdict. */
const decisionOf = (answer: Answer): { status: number; code: string } => ({
  status: answer.status,
  code: answer.status === 200 ? "allowed" : problemCode(answer),
});

interface Scenario {
  readonly what: string;
  readonly key?: LabKey;
  readonly api?: string;
  readonly endpoint?: string;
  readonly code: string;
}

const SCENARIOS: readonly Scenario[] = [
  { what: "a good key", code: "allowed" },
  { what: "a revoked key", key: { status: "revoked" }, code: "invalid_key" },
  { what: "a blocked key", key: { status: "blocked", blockedMessage: "ask us" }, code: "key_blocked" },
  { what: "an expired key", key: { expiresAt: new Date(Date.now() - 1_000) }, code: "expired_key" },
  {
    what: "a blocked key that has expired",
    key: { status: "blocked", expiresAt: new Date(Date.now() - 1_000) },
    code: "expired_key",
  },
  { what: "a key of another network", key: { allowedCidrs: ["10.0.0.0/8"] }, code: "address_not_allowed" },
  { what: "a key of this network", key: { allowedCidrs: ["::1/128", "127.0.0.0/8"] }, code: "allowed" },
  { what: "an API that is not there", api: "nothing", code: "api_not_found" },
  { what: "an endpoint that is not there", endpoint: "nothing", code: "endpoint_not_found" },
  { what: "an endpoint that was retired", endpoint: "retired", code: "endpoint_retired" },
  { what: "a scope that is missing", key: { scopes: ["other"] }, code: "scope_missing" },
  { what: "a scope that fits", key: { scopes: ["other", "shop"] }, code: "allowed" },
  { what: "credit for exactly one call", key: { creditMicros: PRICE }, code: "allowed" },
  { what: "a micro too little", key: { creditMicros: PRICE - 1 }, code: "insufficient_credit" },
  { what: "a project cap", key: { projectCapMicros: PRICE - 1 }, code: "project_cap_reached" },
  { what: "a key cap", key: { monthlySpendCapMicros: PRICE - 1 }, code: "key_cap_reached" },
  { what: "a project that may spend nothing", key: { projectCapMicros: 0 }, code: "project_cap_reached" },
  { what: "no credit and a cap", key: { creditMicros: 0, projectCapMicros: 0 }, code: "insufficient_credit" },
  { what: "a free endpoint", endpoint: "free", key: { freeCallsPerMonth: 1, creditMicros: 0 }, code: "allowed" },
  { what: "no free calls and no credit", endpoint: "free", key: { creditMicros: 0 }, code: "usage_cap_reached" },
  { what: "no free calls but a micro", endpoint: "free", key: { creditMicros: 1 }, code: "allowed" },
  { what: "an endpoint's free quota", endpoint: "quota", key: { creditMicros: 0 }, code: "allowed" },
  { what: "units that fit", endpoint: "units", key: { creditMicros: 5 * PRICE }, code: "allowed" },
  {
    what: "units that may not fit",
    endpoint: "units",
    key: { creditMicros: 5 * PRICE - 1 },
    code: "insufficient_credit",
  },
  { what: "a test key without credit", key: { mode: "test", creditMicros: 0 }, code: "allowed" },
];

describe("keys.verify decides as the gateway does", () => {
  it.each(SCENARIOS)("$what: $code", async ({ key, api = "shop", endpoint = "paid", code }) => {
    const account = await lab.createAccount(key);
    // The verdict first: it holds nothing, so the gateway finds everything as it was.
    const verdict = await verify({ key: account.key, api, endpoint });
    const answer = await call(`${gateway.url}/v1/${api}/${endpoint}/${script}`, { key: account.key });
    expect({ status: verdict.status, code: verdict.code }).toEqual(decisionOf(answer));
    expect(verdict).toMatchObject({ code, isAllowed: code === "allowed", key: { id: account.keyId } });
    if (verdict.isAllowed && endpoint !== "units") {
      expect(String(verdict.priceMicros)).toBe(answer.headers["tollgate-price"]);
    }
  });

  it.each([generateKeyText("live"), "nonsense", ""])("a text that is no key: %s", async (key) => {
    const verdict = await verify({ key, api: "shop", endpoint: "paid" });
    const answer = await call(`${gateway.url}/v1/shop/paid/${script}`, { key: key === "" ? "x" : key });
    expect({ status: verdict.status, code: verdict.code }).toEqual(decisionOf(answer));
    expect(verdict.key).toBeNull();
  });

  it("after a quota is used up: the price, and then the end of the credit", async () => {
    const account = await lab.createAccount({ creditMicros: PRICE });
    const outcomes: string[] = [];
    for (let made = 0; made < 3; made += 1) {
      const ask = () => verify({ key: account.key, api: "shop", endpoint: "quota" });
      // What an earlier call held is settled when it is folded; the verdict counts a hold as spent, so the end is the same.
      const verdict = await ask();
      const answer = await call(`${gateway.url}/v1/shop/quota/${script}`, { key: account.key });
      expect({ status: verdict.status, code: verdict.code }).toEqual(decisionOf(answer));
      outcomes.push(verdict.outcome ?? verdict.code);
    }
    expect(outcomes).toEqual(["quota", "charged", "insufficient_credit"]);
  });
});

describe("keys.verify", () => {
  it("counts under the same rate limits as calls at the gateway, and says how they stand", async () => {
    const account = await lab.createAccount({ rateLimitPerSecond: 10, tierRateLimitPerSecond: 1 });
    const ask = () => verify({ key: account.key, api: "shop", endpoint: "paid" });
    expect(await ask()).toMatchObject({
      code: "allowed",
      rateLimits: [
        { name: "key", quota: 10, windowSeconds: 1, remaining: 9, resetSeconds: 1 },
        { name: "tier", quota: 300, windowSeconds: 300, remaining: 299, resetSeconds: 300 },
      ],
      retryAfterSeconds: null,
    });
    const answer = await call(`${gateway.url}/v1/shop/paid/${script}`, { key: account.key });
    expect(answer.headers["ratelimit"]).toContain('"tier";r=298;t=300');
  });

  it("uses nothing of the rates when the call is refused for want of credit, as the gateway does not", async () => {
    const account = await lab.createAccount({ tierRateLimitPerSecond: 1, creditMicros: PRICE - 1 });
    const left = new Set<unknown>();
    for (let asked = 0; asked < 5; asked += 1) {
      const verdict = await verify({ key: account.key, api: "shop", endpoint: "paid" });
      expect(verdict).toMatchObject({ code: "insufficient_credit", retryAfterSeconds: null });
      left.add(verdict.rateLimits[0]?.remaining);
    }
    expect([...left]).toEqual([299]);
  });

  it("says when to come again once a limit is used up, and refuses what the gateway refuses", async () => {
    const account = await lab.createAccount({ tierRateLimitPerSecond: 1 });
    const ask = () => verify({ key: account.key, api: "shop", endpoint: "paid" });
    for (let made = 0; made < 300; made += 50) {
      const verdicts = await Promise.all(Array.from({ length: 50 }, ask));
      expect(new Set(verdicts.map(({ code }) => code))).toEqual(new Set(["allowed"]));
    }
    const verdict = await ask();
    expect(verdict).toMatchObject({ isAllowed: false, status: 429, code: "rate_limited", outcome: null });
    expect(verdict.rateLimits).toMatchObject([{ name: "tier", quota: 300, remaining: 0 }]);
    expect(verdict.retryAfterSeconds).toBeGreaterThan(60);
    const answer = await call(`${gateway.url}/v1/shop/paid/${script}`, { key: account.key });
    expect({ status: answer.status, code: problemCode(answer) }).toEqual({ status: 429, code: "rate_limited" });
  });

  it("leaves the rates out while nobody can say how they stand", async () => {
    const { key } = await lab.createAccount({ rateLimitPerSecond: 1 });
    const rates = { admit: () => Promise.reject(new Error("Nobody answers")) };
    for (let asked = 0; asked < 3; asked += 1) {
      const verdict = await verifyKey({ ctx: { ...context(), rates }, input: verifyKeyInput.parse({ key }) });
      expect(verdict).toMatchObject({ isAllowed: true, rateLimits: [] });
    }
  });

  it("decides on a cost that the service names, and on the key alone when it names none", async () => {
    const { key } = await lab.createAccount({ creditMicros: 500 });
    expect(await verify({ key, cost: "500" })).toMatchObject({
      isAllowed: true,
      outcome: "charged",
      priceMicros: 500n,
    });
    expect(await verify({ key, api: "shop", endpoint: "paid", cost: "501" })).toMatchObject({
      isAllowed: false,
      code: "insufficient_credit",
      status: 402,
    });
    expect(await verify({ key })).toMatchObject({ isAllowed: true, outcome: null });
  });

  it("refuses a key that is bound to networks when it is not told where the call comes from", async () => {
    const { key } = await lab.createAccount({ allowedCidrs: ["0.0.0.0/0", "::/0"] });
    expect(await verify({ key, address: "2001:db8::1" })).toMatchObject({ isAllowed: true });
    expect(await verify({ key, address: undefined })).toMatchObject({ code: "address_not_allowed" });
  });

  it("is for services, and wants the API of an endpoint", async () => {
    const { key } = await lab.createAccount();
    const input = verifyKeyInput.parse({ key });
    for (const [actor, code] of [
      [{ kind: "anonymous" }, "UNAUTHORIZED"],
      [{ kind: "customer", customerId: "cus_1", sessionId: "ses_1", isOperator: true }, "FORBIDDEN"],
    ] as const) {
      await expect(verifyKey({ ctx: { ...context(), actor }, input })).rejects.toMatchObject({ code });
    }
    await expect(verify({ key, endpoint: "paid" })).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: "api" }],
    });
  });
});
