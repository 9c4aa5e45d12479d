import { silentLogger } from "@tollgate/kernel";
import type { KeyRecord, RateSettings } from "@tollgate/services/keys";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryRateStore } from "../testing/memoryRateStore.ts";
import { mostInAnyWindow } from "../testing/passedCalls.ts";
import { keyRecord, RATE_DEFAULTS } from "../testing/records.ts";
import type { CallLimits } from "./callLimits.ts";
import { RateTicket } from "./callLimits.ts";
import { RATE_BEAT_MS, RateLimiter } from "./rateLimiter.ts";

/** Gateways on a clock of their own, with windows that they share. Everything takes the time that it is told to take. */
class Fleet {
  nowMs = 1_760_000_000_000;
  settings: RateSettings = RATE_DEFAULTS;
  readonly store: MemoryRateStore;
  readonly limiters: RateLimiter[] = [];
  readonly passedAtMs: number[] = [];
  refused = 0;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  private constructor() {
    this.store = new MemoryRateStore(
      () => this.nowMs,
      (ms) => this.delay(ms),
    );
  }

  /** Gateways that know of each other. */
  static async start(gateways: number): Promise<Fleet> {
    const fleet = new Fleet();
    for (let index = 0; index < gateways; index += 1) {
      const limiter = new RateLimiter({
        store: fleet.store,
        name: `gw_${index}`,
        settings: () => fleet.settings,
        logger: silentLogger,
        limitsMax: 1_000,
        tick: () => fleet.nowMs,
        countOthers: async () => 0,
        delay: (ms) => fleet.delay(ms),
      });
      fleet.limiters.push(limiter);
    }
    await fleet.advance(1_000);
    return fleet;
  }

  delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.#timers.push({ atMs: this.nowMs + ms, run: resolve }));
  }

  /** Lets time pass, millisecond by millisecond; `each` is called in every one of them. */
  async advance(ms: number, each: () => void = () => undefined): Promise<void> {
    for (let step = 0; step < ms; step += 1) {
      this.nowMs += 1;
      if (this.nowMs % RATE_BEAT_MS === 0) for (const limiter of this.limiters) void limiter.beat();
      each();
      await this.#turn();
      const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
      this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
      for (const { run } of due) run();
      if (due.length > 0) await this.#turn();
    }
  }

  /** A call at one of the gateways. @returns the reason of its refusal, or undefined when it passed */
  async call(limits: CallLimits, gateway: number): Promise<RateTicket | string> {
    const limiter = this.limiters[gateway] as RateLimiter;
    const decision = limits.admit(limiter.tick()) ?? (await limiter.wait(limits));
    if (decision instanceof RateTicket) {
      this.passedAtMs.push(this.nowMs);
      return decision;
    }
    this.refused += 1;
    return decision.message;
  }

  /** A key's limits, as every gateway knows them. */
  limitsOf(record: KeyRecord): CallLimits[] {
    return this.limiters.map((limiter) => limiter.limitsOf(record));
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }
}

const FREE = keyRecord().tier;
const keyOf = (rateLimitPerSecond: number | null, changes: Partial<KeyRecord> = {}): KeyRecord =>
  keyRecord({ rateLimitPerSecond, tier: { ...FREE, rateLimitPerSecond: 100_000 }, ...changes });
const at = <Item>(items: readonly Item[], index: number): Item => items[index] as Item;

describe("over all gateways", () => {
  it("no window ever has more calls than the limit, however the calls come and however slow the answers are", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 0, max: 200 }),
        fc.boolean(),
        async (limit, bursts, latencyMs, isFlushed) => {
          const fleet = await Fleet.start(3);
          const limits = fleet.limitsOf(keyOf(limit));
          fleet.store.latencyMs = () => Math.abs((fleet.nowMs * 7_919) % (latencyMs + 1));
          let step = 0;
          await fleet.advance(2_500, () => {
            step += 1;
            if (isFlushed && step === 1_200) fleet.store.flush();
            for (let index = 0; index < (bursts[step % bursts.length] ?? 0); index += 1) {
              const gateway = (step * 31 + index) % 3;
              void fleet.call(at(limits, gateway), gateway);
            }
          });
          expect(mostInAnyWindow(fleet.passedAtMs, 1_000)).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 30 },
    );
  });

  it.each([3, 50, 1_000])("callers that ask all the time get most of %d a second, and no more", async (limit) => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(limit));
    await fleet.advance(4_400, () => {
      for (let index = 0; index < Math.ceil(limit / 250); index += 1) {
        const gateway = (fleet.nowMs + index) % 4;
        void fleet.call(at(limits, gateway), gateway);
      }
    });
    expect(mostInAnyWindow(fleet.passedAtMs, 1_000)).toBeLessThanOrEqual(limit);
    expect(fleet.passedAtMs.length).toBeGreaterThanOrEqual(0.85 * limit * 4.4);
  });

  it("at a high limit few calls have to be asked for", async () => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(10_000));
    await fleet.advance(2_000, () => {
      for (let gateway = 0; gateway < 4; gateway += 1) void fleet.call(at(limits, gateway), gateway);
    });
    await fleet.advance(10);
    const asked = fleet.limiters.reduce((sum, limiter) => sum + limiter.asked, 0);
    expect(fleet.passedAtMs).toHaveLength(8_000);
    expect(asked).toBeLessThan(800);
  });

  it("at a high rate more is asked for in time, so that calls wait only at the beginning", async () => {
    const fleet = await Fleet.start(1);
    const [limits] = fleet.limitsOf(keyOf(10_000)) as [CallLimits];
    fleet.store.latencyMs = () => 10;
    let waited = 0;
    const call = (): void => {
      for (let index = 0; index < 3; index += 1) {
        if (limits.admit(fleet.nowMs) !== undefined) continue;
        waited += 1;
        void fleet.call(limits, 0);
      }
    };
    await fleet.advance(300, call);
    waited = 0;
    await fleet.advance(3_000, call);
    expect(waited).toBe(0);
    expect(at(fleet.limiters, 0).asked).toBeLessThan(150);
  });

  it("many keys of one account hold no more of their tier's limit than they need", async () => {
    const fleet = await Fleet.start(1);
    const sets = Array.from({ length: 50 }, (_, index) =>
      at(fleet.limitsOf(keyOf(null, { rootKeyId: `key_${index}`, tier: { ...FREE, rateLimitPerSecond: 20 } })), 0),
    );
    await fleet.advance(1_000, () => void fleet.call(at(sets, fleet.nowMs % 50), 0));
    await fleet.advance(20);
    // A second's calls and at most what the next 75 ms would need, twice.
    expect(fleet.passedAtMs).toHaveLength(1_000);
    expect(fleet.store.used("tier:ba_1:300")).toBeLessThanOrEqual(1_000 + 2 * 120);
    await fleet.advance(300);
    expect(fleet.store.used("tier:ba_1:300")).toBe(1_000);
  });

  it("at a low limit nothing is held where others could use it: exactly the limit passes", async () => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(10));
    await fleet.advance(40, () => {
      const gateway = fleet.nowMs % 4;
      void fleet.call(at(limits, gateway), gateway);
    });
    await fleet.advance(20);
    expect([fleet.passedAtMs.length, fleet.refused]).toEqual([10, 30]);
  });

  it("refusals do not ask again and again", async () => {
    const fleet = await Fleet.start(1);
    const [limits] = fleet.limitsOf(keyOf(1));
    await fleet.advance(1_000, () => {
      for (let index = 0; index < 20; index += 1) void fleet.call(limits as CallLimits, 0);
    });
    expect(fleet.refused).toBeGreaterThan(19_000);
    expect(at(fleet.limiters, 0).asked).toBeLessThan(60);
  });
});

describe("a call", () => {
  it("that one limit refuses uses nothing of the others", async () => {
    const fleet = await Fleet.start(1);
    fleet.settings = { ...RATE_DEFAULTS, projectRateLimitPerSecond: 20 };
    await fleet.advance(RATE_BEAT_MS);
    const [narrow] = fleet.limitsOf(keyOf(5, { rootKeyId: "key_narrow" }));
    const [wide] = fleet.limitsOf(keyOf(null, { rootKeyId: "key_wide" }));
    for (let index = 0; index < 50; index += 1) void fleet.call(narrow as CallLimits, 0);
    await fleet.advance(10);
    expect([fleet.passedAtMs.length, fleet.refused]).toEqual([5, 45]);
    for (let index = 0; index < 50; index += 1) void fleet.call(wide as CallLimits, 0);
    await fleet.advance(10);
    expect([fleet.passedAtMs.length, fleet.refused]).toEqual([20, 80]);
    await fleet.advance(200);
    expect(fleet.store.used("tier:ba_1:300")).toBe(20);
  });

  it("that is refused for another reason afterwards uses nothing, at once or later", async () => {
    const fleet = await Fleet.start(2);
    const limits = fleet.limitsOf(keyOf(5));
    for (let round = 0; round < 20; round += 1) {
      const tickets = [0, 1].map((gateway) => fleet.call(at(limits, gateway), gateway));
      await fleet.advance(5);
      for (const ticket of await Promise.all(tickets)) if (ticket instanceof RateTicket) ticket.giveBack();
      await fleet.advance(round % 2 === 0 ? 100 : 2);
    }
    expect(fleet.passedAtMs).toHaveLength(40);
    await fleet.advance(300);
    expect(fleet.store.used("key:key_1:1")).toBe(0);
    expect(fleet.store.used("tier:ba_1:300")).toBe(0);
  });

  it("counts under the limits that are in force", async () => {
    const fleet = await Fleet.start(1);
    const [limits] = fleet.limitsOf(keyOf(null));
    const pass = async (): Promise<number> => {
      const before = fleet.passedAtMs.length;
      for (let index = 0; index < 50; index += 1) void fleet.call(limits as CallLimits, 0);
      await fleet.advance(2_000);
      return fleet.passedAtMs.length - before;
    };
    const passed = [await pass()];
    fleet.settings = { ...RATE_DEFAULTS, keyRateLimitPerSecond: 7 };
    await fleet.advance(RATE_BEAT_MS);
    passed.push(await pass());
    fleet.settings = { ...fleet.settings, rateLimitBurstSeconds: 3 };
    await fleet.advance(RATE_BEAT_MS);
    passed.push(await pass());
    fleet.settings = { ...RATE_DEFAULTS, projectRateLimitPerSecond: 4 };
    await fleet.advance(RATE_BEAT_MS);
    passed.push(await pass());
    expect(passed).toEqual([50, 7, 21, 4]);
    expect(limits?.policy).toBe('"project";q=4;w=1, "tier";q=30000000;w=300');
  });
});

describe("when the shared windows", () => {
  const saturate = (fleet: Fleet, limits: readonly CallLimits[]) => (): void => {
    for (let gateway = 0; gateway < limits.length; gateway += 1) void fleet.call(at(limits, gateway), gateway);
  };

  it("are emptied, nobody gets a second full window", async () => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(200));
    for (let round = 0; round < 4; round += 1) {
      await fleet.advance(1_300 + round * 170, saturate(fleet, limits));
      fleet.store.flush();
    }
    await fleet.advance(3_000, saturate(fleet, limits));
    expect(mostInAnyWindow(fleet.passedAtMs, 1_000)).toBeLessThanOrEqual(200);
    expect(fleet.passedAtMs.length).toBeGreaterThan(200 * 5);
  });

  it("do not answer, each gateway has its part of the limit, and all of them no more than the limit", async () => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(200));
    await fleet.advance(2_000, saturate(fleet, limits));
    fleet.store.isDown = true;
    const passedBefore = fleet.passedAtMs.length;
    await fleet.advance(4_000, saturate(fleet, limits));
    const alone = fleet.passedAtMs.length - passedBefore;
    expect(fleet.limiters.map((limiter) => limiter.isAlone)).toEqual([true, true, true, true]);
    expect(alone).toBeGreaterThan(0.6 * 200 * 4);
    const before = fleet.passedAtMs.length;
    await fleet.advance(4_000, () => void fleet.call(at(limits, 0), 0));
    expect(mostInAnyWindow(fleet.passedAtMs.slice(before), 1_000)).toBeLessThanOrEqual(50);
    fleet.store.isDown = false;
    await fleet.advance(3_000, saturate(fleet, limits));
    expect(fleet.limiters.map((limiter) => limiter.isAlone)).toEqual([false, false, false, false]);
    expect(mostInAnyWindow(fleet.passedAtMs, 1_000)).toBeLessThanOrEqual(200);
  });

  it("do not answer while one gateway has nearly all of the calls, the window does not fill a second time", async () => {
    const fleet = await Fleet.start(4);
    const limits = fleet.limitsOf(keyOf(200));
    await fleet.advance(1_500, () => {
      void fleet.call(at(limits, 0), 0);
      for (let gateway = 1; gateway < 4; gateway += 1) {
        if (fleet.nowMs % 40 === 0) void fleet.call(at(limits, gateway), gateway);
      }
    });
    fleet.store.isDown = true;
    await fleet.advance(3_000, saturate(fleet, limits));
    expect(mostInAnyWindow(fleet.passedAtMs, 1_000)).toBeLessThanOrEqual(200 * 1.05);
  });

  it("are back after an outage, they are told of the calls that passed meanwhile", async () => {
    const fleet = await Fleet.start(1);
    const limits = fleet.limitsOf(keyOf(null));
    fleet.store.isDown = true;
    for (let index = 0; index < 25; index += 1) void fleet.call(at(limits, 0), 0);
    await fleet.advance(500);
    fleet.store.isDown = false;
    await fleet.advance(1_500);
    expect(fleet.store.used("tier:ba_1:300")).toBe(25);
  });
});
