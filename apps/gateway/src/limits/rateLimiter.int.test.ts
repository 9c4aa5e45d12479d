import { once } from "node:events";
import { connect } from "node:net";
import { delay, silentLogger } from "@tollgate/kernel";
import { RedisRateStore, rateWindowOf } from "@tollgate/messaging";
import type { TestNamespace } from "@tollgate/testing";
import { createTestNamespace } from "@tollgate/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Line } from "../testing/line.ts";
import { mostInAnyWindow } from "../testing/passedCalls.ts";
import { keyRecord, RATE_DEFAULTS } from "../testing/records.ts";
import type { CallLimits } from "./callLimits.ts";
import { RateTicket } from "./callLimits.ts";
import { RATE_BEAT_MS, RateLimiter } from "./rateLimiter.ts";

/** Four gateways' limiters on one real Redis, over a line that can be cut. */
const GATEWAYS = 4;
const TIER = { ...keyRecord().tier, rateLimitPerSecond: 1_000_000 };
const WAIT = { timeout: 30_000, interval: 20 };

let namespace: TestNamespace;
let line: Line;
let stores: RedisRateStore[];
let limiters: RateLimiter[];
let beating: NodeJS.Timeout;

beforeEach(async () => {
  namespace = await createTestNamespace();
  line = await Line.lay(namespace.redisUrl);
  stores = Array.from({ length: GATEWAYS }, () => openStore(line.url));
  limiters = stores.map(
    (store, index) =>
      new RateLimiter({
        store,
        name: `gw_${index}`,
        settings: () => RATE_DEFAULTS,
        logger: silentLogger,
        limitsMax: 1_000,
        tick: () => performance.now(),
        countOthers: async () => 0,
        delay,
      }),
  );
  beating = setInterval(() => {
    for (const limiter of limiters) void limiter.beat();
  }, RATE_BEAT_MS);
  await expect.poll(() => limiters.every((limiter) => !limiter.isAlone), WAIT).toBe(true);
});

afterEach(() => {
  clearInterval(beating);
  for (const store of stores) store.close();
  line.close();
});

const openStore = (redisUrl: string): RedisRateStore =>
  new RedisRateStore({ redisUrl, prefix: namespace.redisPrefix, onError: () => undefined });

/** Loses everything in Redis, as somebody would who may. */
async function flush(): Promise<void> {
  const { hostname, port, pathname } = new URL(namespace.redisUrl);
  const socket = connect(Number(port || 6379), hostname);
  socket.write(`SELECT ${pathname.slice(1)}\r\nFLUSHDB\r\nQUIT\r\n`);
  socket.resume();
  await once(socket, "close");
}

interface Drive {
  readonly passedAtMs: number[];
  /** Stops calling, and waits for what is on its way. */
  stop(): Promise<void>;
}

/** Calls at random, without a pause, through all gateways, with more calls than the limit allows. */
function drive(limitPerSecond: number, name = "key_1"): Drive {
  const record = keyRecord({ rateLimitPerSecond: limitPerSecond, rootKeyId: name, tier: TIER });
  const limits = limiters.map((limiter) => limiter.limitsOf(record));
  const passedAtMs: number[] = [];
  let isOver = false;
  const call = async (gateway: number): Promise<void> => {
    const limiter = limiters[gateway] as RateLimiter;
    const set = limits[gateway] as CallLimits;
    const decision = set.admit(limiter.tick()) ?? (await limiter.wait(set));
    if (decision instanceof RateTicket) passedAtMs.push(performance.now());
  };
  const loop = async (): Promise<void> => {
    while (!isOver) {
      const calls = Math.floor(Math.random() * Math.max(2, limitPerSecond / 50));
      await Promise.all(Array.from({ length: calls }, () => call(Math.floor(Math.random() * GATEWAYS))));
      await delay(Math.random() * 8);
    }
  };
  const loops = Array.from({ length: 8 }, loop);
  return {
    passedAtMs,
    stop: async () => {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

/** The calls that pass while something is done, or while a number of windows go by. */
async function passedDuring(driven: Drive, windows: number): Promise<number[]> {
  const from = performance.now();
  await delay(windows * 1_000);
  return driven.passedAtMs.filter((at) => at >= from);
}

const share = (passed: readonly number[], limit: number, windows: number): number => passed.length / (limit * windows);

it.each([20, 200, 2_000])(
  "no window has more calls than the limit of %d, and most of it can be used",
  async (limit) => {
    const driven = drive(limit);
    const passed = await passedDuring(driven, 5);
    await driven.stop();
    const used = share(passed, limit, 5);
    expect(mostInAnyWindow(driven.passedAtMs, 1_000)).toBeLessThanOrEqual(1.05 * limit);
    expect(used).toBeGreaterThanOrEqual(0.5);
  },
);

it("a Redis that is emptied gives nobody a second window, and goes on", async () => {
  const driven = drive(100);
  for (let round = 0; round < 4; round += 1) {
    await passedDuring(driven, 1.3 + 0.2 * round);
    await flush();
  }
  const passed = await passedDuring(driven, 4);
  await driven.stop();
  expect(mostInAnyWindow(driven.passedAtMs, 1_000)).toBeLessThanOrEqual(105);
  expect(share(passed, 100, 4)).toBeGreaterThanOrEqual(0.5);
});

it("a Redis that is away leaves each gateway its part, and one that comes back empty changes nothing", async () => {
  const driven = drive(100);
  await passedDuring(driven, 2);
  line.cut();
  await expect.poll(() => limiters.every((limiter) => limiter.isAlone), WAIT).toBe(true);
  const alone = await passedDuring(driven, 4);
  await flush();
  line.mend();
  await expect.poll(() => limiters.every((limiter) => !limiter.isAlone), WAIT).toBe(true);
  const after = await passedDuring(driven, 4);
  await driven.stop();
  expect(mostInAnyWindow(driven.passedAtMs, 1_000)).toBeLessThanOrEqual(105);
  expect(share(alone, 100, 4)).toBeGreaterThanOrEqual(0.5);
  expect(share(after, 100, 4)).toBeGreaterThanOrEqual(0.5);
});

it("keys of one account have a limit each, and what one refuses is counted nowhere", async () => {
  const first = drive(30, "key_first");
  const second = drive(50, "key_second");
  const [a, b] = await Promise.all([passedDuring(first, 3), passedDuring(second, 3)]);
  await Promise.all([first.stop(), second.stop()]);
  expect(mostInAnyWindow(first.passedAtMs, 1_000)).toBeLessThanOrEqual(31);
  expect(mostInAnyWindow(second.passedAtMs, 1_000)).toBeLessThanOrEqual(52);
  expect([share(a, 30, 3), share(b, 50, 3)].every((used) => used >= 0.5)).toBe(true);
  const [store] = stores;
  const quota = 1_000_000_000;
  const claim = { id: "tier:ba_1:300", quota, window: rateWindowOf(300), held: 0, spare: 0, corrections: [] };
  const counted = async (): Promise<number | undefined> => {
    const beat = await store?.beat("gw_0");
    const answer = await store?.ask({ epoch: beat?.epoch ?? "", waiting: 0, claims: [claim] });
    return answer?.kind === "granted" ? quota - (answer.grants[0]?.left ?? 0) : undefined;
  };
  await expect.poll(counted, WAIT).toBe(first.passedAtMs.length + second.passedAtMs.length);
});
