import { setSecret } from "@tollgate/services/admin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, problemCode } from "./testing/client.ts";
import type { LabKey } from "./testing/lab.ts";
import { Lab, PRICE } from "./testing/lab.ts";

/** Which refusal a call gets that could have several, and those that are decided when it is about to be forwarded. */
let lab: Lab;
let url: string;
let script: string;

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [{ name: "get" }]);
  await lab.publish("sealed", [{ name: "get" }]);
  await lab.publish("dead", [{ name: "get" }, { name: "old", isRetired: true }], []);
  const masterKeys = [{ id: "unknown-here", secret: "u".repeat(32) }];
  const input = { api: "sealed", placement: "header", name: "x-api-key", value: "unreadable" } as const;
  await setSecret({ ctx: lab.operatorContext({ masterKeys }), input });
  ({ url } = await lab.startGateway());
  script = lab.upstream.script((_, response) => response.end("served"));
});

afterAll(async () => {
  await lab.close();
  expect(lab.foldFailures).toEqual([]);
});

it("without an instance of the API is a 503 that says so, uncharged, and when to come again", async () => {
  const caller = await lab.createAccount();
  const answer = await call(`${url}/v1/dead/get/x?q=1`, { key: caller.key });
  const callId = answer.headers["tollgate-call-id"];
  expect(callId).toMatch(/^call_/);
  expect(answer.status).toBe(503);
  expect(answer.headers).toMatchObject({
    "content-type": "application/problem+json",
    "content-length": String(answer.body.length),
    "cache-control": "no-store",
    "retry-after": "1",
  });
  expect(answer.headers).not.toHaveProperty("tollgate-price");
  expect(JSON.parse(answer.body.toString())).toEqual({
    type: "https://tollgate.dev/errors/no-upstream",
    title: "Unavailable",
    status: 503,
    detail: "No instance of this API is running",
    instance: "/v1/dead/get/x",
    code: "no_upstream",
    requestId: callId,
  });
  await expect.poll(() => lab.callsOf(caller), { timeout: 5_000 }).toHaveLength(1);
  expect(await lab.callsOf(caller)).toMatchObject([{ id: callId, outcome: "failed", status: 503, chargedMicros: 0 }]);
  await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 0 });
});

/** What is wrong with a call, in the order of the decision. Whatever comes later is wrong as well. */
describe("of everything that is wrong with a call, the first in the order of the decision is its refusal", () => {
  const elsewhere = { allowedCidrs: ["192.0.2.0/24"] };
  const other = { scopes: ["other"] };
  const poor = { creditMicros: 0 };
  const nothing = { ...elsewhere, ...other, ...poor };

  it.each<[code: string, status: number, key: LabKey, method: string, path: string]>([
    ["invalid_key", 401, { status: "revoked", expiresAt: new Date(0), ...nothing }, "POST", "none/get/x"],
    ["expired_key", 401, { expiresAt: new Date(0), status: "blocked", ...nothing }, "POST", "none/get/x"],
    ["key_blocked", 403, { status: "blocked", ...nothing }, "POST", "none/get/x"],
    ["address_not_allowed", 403, nothing, "POST", "none/get/x"],
    ["api_not_found", 404, { ...other, ...poor }, "POST", "none/get/x"],
    ["endpoint_not_found", 404, { ...other, ...poor }, "POST", "dead/none/x"],
    ["endpoint_retired", 410, { ...other, ...poor }, "POST", "dead/old/x"],
    ["method_not_allowed", 405, { ...other, ...poor }, "POST", "dead/get/x"],
    ["scope_missing", 403, { ...other, ...poor }, "GET", "dead/get/x"],
    ["insufficient_credit", 402, poor, "GET", "dead/get/x"],
    ["no_upstream", 503, {}, "GET", "dead/get/x"],
  ])("%s comes before what follows it", async (code, status, options, method, path) => {
    const { key } = await lab.createAccount(options);
    // Cold and warm: once the key is loaded and its budgets are known, the decision takes another way.
    for (let index = 0; index < 2; index += 1) {
      const answer = await call(`${url}/v1/${path}`, { key, method });
      expect([answer.status, problemCode(answer)]).toEqual([status, code]);
    }
  });

  it("no key comes before all of them", async () => {
    const answer = await call(`${url}/v1/none/get/x`, { method: "POST" });
    expect([answer.status, problemCode(answer)]).toEqual([401, "missing_key"]);
  });

  it("rate limits come before the money and the instance, and after the scope", async () => {
    const credit = { creditMicros: PRICE, rateLimitPerSecond: 1 };
    const caller = await lab.createAccount({ ...credit, scopes: ["lab", "dead"] });
    const codeOf = async (api: string): Promise<string> => {
      const answer = await call(`${url}/v1/${api}/get/${script}`, { key: caller.key });
      return answer.status === 200 ? "served" : problemCode(answer);
    };
    expect(await codeOf("lab")).toBe("served");
    expect(await Promise.all([codeOf("dead"), codeOf("sealed"), codeOf("none")])).toEqual([
      "rate_limited",
      "scope_missing",
      "api_not_found",
    ]);
    // When there is room again, it is the money.
    await expect.poll(() => codeOf("dead"), { timeout: 5_000 }).toBe("insufficient_credit");
  });
});

describe("a call that is refused when it was about to be forwarded", () => {
  it.each([
    ["for want of an instance", "dead", "no_upstream"],
    ["for want of the API's credentials", "sealed", "credentials_unavailable"],
    ["because its path says the key", "lab", "bad_path"],
  ])("%s uses nothing of its rate limits", async (_, api, code) => {
    const caller = await lab.createAccount({ rateLimitPerSecond: 2 });
    const path = code === "bad_path" ? caller.key : script;
    const codes: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      codes.push(problemCode(await call(`${url}/v1/${api}/get/${path}`, { key: caller.key })));
    }
    expect(codes).toEqual(new Array(6).fill(code));
    const statuses = [];
    for (let index = 0; index < 2; index += 1) {
      statuses.push((await call(`${url}/v1/lab/get/${script}`, { key: caller.key })).status);
    }
    expect(statuses).toEqual([200, 200]);
    await expect.poll(() => lab.walletOf(caller)).toMatchObject({ used: 2_000 });
  });
});
