import { createEtcdStore, DynamicConfig, SETTINGS } from "@tollgate/config";
import { silentLogger, systemClock } from "@tollgate/kernel";
import type { BareItem, List } from "structured-headers";
import { parseList, serializeList } from "structured-headers";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../testing/client.ts";
import { call, problemCode } from "../testing/client.ts";
import type { LabAccount } from "../testing/lab.ts";
import { Lab } from "../testing/lab.ts";
import { Line } from "../testing/line.ts";

/** Rate limits as callers meet them: over several gateways, in the fields of answers, while settings change and Redis is away. */
const WAIT = { timeout: 30_000, interval: 25 };
/** A tier counts over five minutes, which no test outlasts. */
const TIER_WINDOW = SETTINGS.tierRateLimitBurstSeconds.default;

type LabGateway = Awaited<ReturnType<Lab["startGateway"]>>;

let lab: Lab;
let script: string;
let running: LabGateway[] = [];

beforeAll(async () => {
  lab = await Lab.open();
  await lab.publish("lab", [{ name: "get" }]);
  script = lab.upstream.script((_, response) => response.end("served"));
});

afterEach(async () => {
  await Promise.all(running.map((gateway) => gateway.stop()));
  running = [];
});

afterAll(() => lab.close());

async function start(overrides: Parameters<Lab["startGateway"]>[0] = {}): Promise<LabGateway> {
  const gateway = await lab.startGateway(overrides);
  running.push(gateway);
  return gateway;
}

async function startShared(count: number, overrides: Parameters<Lab["startGateway"]>[0] = {}): Promise<LabGateway[]> {
  const gateways = await Promise.all(Array.from({ length: count }, () => start(overrides)));
  await expectRates(gateways, "shared");
  return gateways;
}

const ratesOf = async (gateway: LabGateway): Promise<unknown> =>
  JSON.parse((await call(`${gateway.url}/readyz`)).body.toString()).dependencies.rates;

const expectRates = (gateways: readonly LabGateway[], state: "shared" | "alone"): Promise<void> =>
  expect.poll(async () => [...new Set(await Promise.all(gateways.map(ratesOf)))], WAIT).toEqual([state]);

const ask = (gateway: LabGateway, { key }: LabAccount): Promise<Answer> =>
  call(`${gateway.url}/v1/lab/get/${script}`, { key });

/** Calls over the gateways in turn, some at a time. @returns how many were answered with each status */
async function drive(
  gateways: readonly LabGateway[],
  account: LabAccount,
  calls: number,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let made = 0; made < calls; made += 20) {
    const some = Array.from({ length: 20 }, (_, index) =>
      ask(gateways[(made + index) % gateways.length] as LabGateway, account),
    );
    for (const { status } of await Promise.all(some)) counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

const fieldsOf = ({ headers }: Answer): { readonly policy: List; readonly limit: List } => ({
  policy: parseList(String(headers["ratelimit-policy"])),
  limit: parseList(String(headers["ratelimit"])),
});

const membersOf = (list: List): [unknown, Record<string, BareItem>][] =>
  list.map(([value, parameters]) => [value, Object.fromEntries(parameters)]);

describe("RateLimit and RateLimit-Policy", () => {
  it("are lists of RFC 9651 in every answer, with a member for each limit of the call", async () => {
    const [gateway] = (await startShared(1)) as [LabGateway];
    const account = await lab.createAccount({ rateLimitPerSecond: 3, tierRateLimitPerSecond: 10 });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(gateway, account)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429, 429]);
    for (const answer of answers) {
      const { policy, limit } = fieldsOf(answer);
      expect(membersOf(policy)).toEqual([
        ["key", { q: 3, w: 1 }],
        ["tier", { q: 10 * TIER_WINDOW, w: TIER_WINDOW }],
      ]);
      // The canonical form is what was sent: no member, type or parameter was lost in reading.
      expect(serializeList(policy)).toBe(answer.headers["ratelimit-policy"]);
      expect(serializeList(limit)).toBe(answer.headers["ratelimit"]);
      expect(limit.map(([name]) => name)).toEqual(["key", "tier"]);
      for (const [[, parameters], quota] of limit.map(
        (member, index) => [member, [3, 10 * TIER_WINDOW][index]] as const,
      )) {
        expect([...parameters.keys()]).toEqual(["r", "t"]);
        const [left, seconds] = [Number(parameters.get("r")), Number(parameters.get("t"))];
        expect(Number.isInteger(left) && left >= 0 && left <= Number(quota)).toBe(true);
        expect(Number.isInteger(seconds) && seconds >= 1).toBe(true);
      }
      if (answer.status !== 429) continue;
      expect(problemCode(answer)).toBe("rate_limited");
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      const [, key] = limit[0] as List[number];
      expect(key.get("r")).toBe(0);
      expect(String(key.get("t"))).toBe(answer.headers["retry-after"]);
      expect([1, 2]).toContain(Number(answer.headers["retry-after"]));
    }
  });

  it("count down what is left, and what a refusal for another reason took is given back", async () => {
    const [gateway] = (await startShared(1)) as [LabGateway];
    const leftOf = (answer: Answer): unknown => fieldsOf(answer).limit[0]?.[1].get("r");
    const account = await lab.createAccount({ tierRateLimitPerSecond: 1 });
    const left: unknown[] = [];
    for (let made = 0; made < 4; made += 1) left.push(leftOf(await ask(gateway, account)));
    expect(left).toEqual([299, 298, 297, 296]);
    const poor = await lab.createAccount({ tierRateLimitPerSecond: 1, creditMicros: 0 });
    expect(await drive([gateway], poor, 400)).toEqual({ "402": 400 });
  });
});

describe("a tier's limit", () => {
  it("holds over four gateways: exactly as many calls pass as it allows, whichever gateway they come to", async () => {
    const gateways = await startShared(4);
    const account = await lab.createAccount({ tierRateLimitPerSecond: 1 });
    const counts = await drive(gateways, account, 500);
    expect(counts).toEqual({ "200": TIER_WINDOW, "429": 500 - TIER_WINDOW });
    for (const gateway of gateways) {
      const refused = await ask(gateway, account);
      expect(refused.status).toBe(429);
      expect(JSON.parse(refused.body.toString()).detail).toContain(`The limit of the tier is ${TIER_WINDOW} calls`);
      // The window is five minutes: the first calls leave it after that.
      expect(Number(refused.headers["retry-after"])).toBeGreaterThan(60);
    }
    await expect.poll(async () => (await lab.callsOf(account)).length, WAIT).toBe(TIER_WINDOW);
  });
});

describe("what an operator sets", () => {
  it("is the limit of keys, projects and tiers on every gateway within a second, and no longer when it is taken back", async () => {
    const gateways = await startShared(2);
    const account = await lab.createAccount();
    const { etcdUrl: url, etcdNamespace: namespace } = lab.namespace;
    const store = createEtcdStore({ url, clock: systemClock, logger: silentLogger, namespace });
    const config = new DynamicConfig({ store, clock: systemClock, logger: silentLogger, table: SETTINGS });
    await config.waitUntilKnown(5_000);
    const set = (name: keyof typeof SETTINGS, value: unknown) =>
      config.set({ name, value, actor: "system:test", requestId: "req_test" });
    const expectPolicy = (policy: string): Promise<void> =>
      expect
        .poll(async () => {
          const answers = await Promise.all(gateways.map((gateway) => ask(gateway, account)));
          return [...new Set(answers.map(({ headers }) => headers["ratelimit-policy"]))];
        }, WAIT)
        .toEqual([policy]);
    try {
      await expectPolicy('"tier";q=300000000;w=300');
      await set("keyRateLimitPerSecond", 50);
      await expectPolicy('"key";q=50;w=1, "tier";q=300000000;w=300');
      await set("projectRateLimitPerSecond", 70);
      await set("rateLimitBurstSeconds", 2);
      await expectPolicy('"key";q=100;w=2, "project";q=140;w=2, "tier";q=300000000;w=300');
      await set("tierRateLimitBurstSeconds", 10);
      await set("keyRateLimitPerSecond", null);
      await set("projectRateLimitPerSecond", null);
      await expectPolicy('"tier";q=10000000;w=10');
    } finally {
      for (const name of ["rateLimitBurstSeconds", "tierRateLimitBurstSeconds"] as const) {
        await set(name, SETTINGS[name].default);
      }
      config.close();
      store.close();
    }
  });
});

describe("while Redis is away", () => {
  it("each gateway has its part of a limit, also one that starts meanwhile, and all of it counts when Redis is back", async () => {
    const line = await Line.lay(lab.namespace.redisUrl);
    const gateways = await startShared(2, { REDIS_URL: line.url });
    const account = await lab.createAccount({ tierRateLimitPerSecond: 1 });
    line.cut();
    await expectRates(gateways, "alone");
    const [first, second] = gateways as [LabGateway, LabGateway];
    const half = TIER_WINDOW / 2;
    expect(await drive([first], account, half + 70)).toEqual({ "200": half, "429": 70 });
    expect(await drive([second], account, half - 30)).toEqual({ "200": half - 30 });
    const refused = await ask(first, account);
    expect([refused.status, problemCode(refused)]).toEqual([429, "rate_limited"]);
    expect(fieldsOf(refused).limit[0]?.[1].get("r")).toBe(0);

    const third = await start({ REDIS_URL: line.url });
    const other = await lab.createAccount({ tierRateLimitPerSecond: 1 });
    // The database knows of three, and maybe of gateways that ended a moment ago.
    const { "200": passed = 0 } = await drive([third], other, TIER_WINDOW);
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThanOrEqual(TIER_WINDOW / 3);

    line.mend();
    await expectRates([...gateways, third], "shared");
    await expect.poll(async () => (await drive([second], account, 20))["429"], WAIT).toBe(20);
    await expect.poll(async () => (await lab.callsOf(account)).length, WAIT).toBe(TIER_WINDOW);
    line.close();
  });
});
