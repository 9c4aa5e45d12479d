import { silentLogger } from "@tollgate/kernel";
import type { LeaseRequest, LeaseResult, LeaseTotals } from "@tollgate/services/budgets";
import { planLease, walletBudgetId } from "@tollgate/services/budgets";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Refusal } from "../admission/refusal.ts";
import type { Reservation, Shortage } from "../admission/reserve.ts";
import { reserve } from "../admission/reserve.ts";
import { RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import { Caller } from "../identity/caller.ts";
import { idleLimits, keyRecord } from "../testing/records.ts";
import { BudgetPool } from "./budgetPool.ts";

/** Several gateways over one budget, kept in memory by the same rules as the database keeps it, on time that is not real. */
const START_MS = Date.parse("2026-03-10T12:00:00Z");
const clock = { now: () => new Date(), nowMs: () => Date.now() };
/** Calls come within two seconds, and none waits longer than a few. */
const SETTLED_MS_MAX = 30_000;
const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Faults {
  /** Of a hundred requests, how many fail, half of them when the work was done. */
  readonly leaseFailures: number;
  /** Of a hundred pushes, how many are lost. */
  readonly pushLosses: number;
}

interface PlannedCall {
  readonly atMs: number;
  readonly gateway: number;
  readonly price: number;
  /** What the call gives back when it ends, as a share of its price in quarters. */
  readonly backQuarters: number;
  readonly tookMs: number;
}

const endpointOf = (price: number): RoutedEndpoint =>
  new RoutedEndpoint({
    id: "ep_1",
    apiId: "api_1",
    name: "get",
    method: "GET",
    path: "/",
    freePerMonth: 0,
    unit: "call",
    unitsMax: 1,
    meter: "call",
    isChargedOn4xx: false,
    timeoutMs: 1_000,
    bodyBytesMax: 0,
    retiredAt: null,
    prices: [{ effectiveFrom: new Date(0), priceMicros: BigInt(price) as never }],
  });

class Economy {
  readonly gateways: SimulatedGateway[];
  readonly #leases = new Map<string, LeaseTotals>();
  readonly #random: () => number;
  readonly #faults: Faults;
  readonly limit: number;
  used = 0;
  held = 0;
  /** What calls have been let spend: never more than the limit. */
  spent = 0;

  constructor(limit: number, gateways: number, random: () => number, faults: Faults) {
    // The pools of the economy before are gone, and so is their time.
    vi.clearAllTimers();
    this.limit = limit;
    this.#random = random;
    this.#faults = faults;
    this.gateways = Array.from({ length: gateways }, (_, index) => new SimulatedGateway(this, `gw_${index}.0`));
  }

  latency(): number {
    return 1 + Math.floor(this.#random() * 30);
  }

  isUnlucky(percent: number): boolean {
    return this.#random() * 100 < percent;
  }

  async lease(holderId: string, requests: readonly LeaseRequest[]): Promise<LeaseResult[]> {
    await after(this.latency());
    const isFailure = this.isUnlucky(this.#faults.leaseFailures);
    if (isFailure && this.isUnlucky(50)) throw new Error("the connection broke before COMMIT");
    const results = requests.map((request) => {
      const totals = this.#leases.get(holderId) ?? { granted: 0n, settled: 0n, returned: 0n };
      const facts = {
        id: request.budgetId,
        limit: BigInt(this.limit),
        overdraft: 0n,
        used: BigInt(this.used),
        held: BigInt(this.held),
      };
      const plan = planLease(request, facts, totals, undefined);
      this.held += Number(plan.heldDelta);
      this.#leases.set(holderId, { ...totals, granted: plan.granted, returned: plan.returned });
      return plan.result;
    });
    await after(this.latency());
    if (isFailure) throw new Error("the connection broke after COMMIT");
    return results;
  }

  /** What a worker does with a finished call. */
  async fold(holderId: string, amount: number): Promise<void> {
    await after(5 * this.latency());
    const totals = this.#leases.get(holderId) ?? { granted: 0n, settled: 0n, returned: 0n };
    this.#leases.set(holderId, { ...totals, settled: totals.settled + BigInt(amount) });
    this.used += amount;
    this.held -= amount;
  }

  async tellOthers(holderId: string, tell: (pool: BudgetPool) => void): Promise<void> {
    for (const gateway of this.gateways) {
      if (gateway.holderId === holderId || this.isUnlucky(this.#faults.pushLosses)) continue;
      await after(this.latency());
      tell(gateway.pool);
    }
  }
}

class SimulatedGateway {
  readonly holderId: string;
  readonly pool: BudgetPool;
  readonly #economy: Economy;
  readonly #caller: Caller;

  constructor(economy: Economy, holderId: string) {
    this.#economy = economy;
    this.holderId = holderId;
    this.pool = new BudgetPool({
      clock,
      logger: silentLogger,
      sliceSeconds: 3,
      holderId: () => holderId,
      onHolderClosed: () => undefined,
      ports: {
        lease: (holder, requests) => economy.lease(holder, requests),
        recall: (holder, ids) => void economy.tellOthers(holder, (pool) => pool.onRecall(ids)),
        announceReturned: (holder, ids) => void economy.tellOthers(holder, (pool) => pool.onReturned(ids)),
      },
    });
    this.#caller = new Caller(keyRecord(), this.pool, idleLimits());
  }

  /** A call as the gateway decides it. @returns the refusal's reason, or undefined when it passed */
  async call({ price, backQuarters, tookMs }: Omit<PlannedCall, "atMs" | "gateway">): Promise<string | undefined> {
    const decide = (): Reservation | Refusal | Shortage =>
      reserve(this.pool, this.#caller, endpointOf(price), { freeCallOverCapPriceMicros: 1 }, clock.nowMs());
    let decision = decide();
    while ("slice" in decision) {
      try {
        await this.pool.wait(decision.slice, decision.amount);
      } catch {
        return "budgets_unavailable";
      }
      decision = decide();
    }
    if (!("slices" in decision)) return decision.reason;
    const economy = this.#economy;
    economy.spent += price;
    expect(economy.spent).toBeLessThanOrEqual(economy.limit);
    await after(tookMs);
    const back = Math.floor((price * backQuarters) / 4);
    for (const slice of decision.slices) this.pool.giveBack(slice, back, this.holderId);
    economy.spent -= back;
    if (back < price) void economy.fold(this.holderId, price - back);
    return undefined;
  }
}

/** Lets time pass until every call is decided. */
async function settled<Result>(work: Promise<Result>): Promise<Result> {
  let isDone = false;
  const finish = (): void => {
    isDone = true;
  };
  work.then(finish, finish);
  for (let waitedMs = 0; !isDone && waitedMs < SETTLED_MS_MAX; waitedMs += 50) await vi.advanceTimersByTimeAsync(50);
  expect(isDone).toBe(true);
  return work;
}

function run(economy: Economy, calls: readonly PlannedCall[]): Promise<(string | undefined)[]> {
  return settled(
    Promise.all(
      calls.map(async (planned) => {
        await after(planned.atMs);
        return economy.gateways[planned.gateway % economy.gateways.length]?.call(planned);
      }),
    ),
  );
}

/** A reproducible stream of numbers in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    return ((state >>> 8) & 0xffff) / 0x10000;
  };
}

const plannedCall = (price: fc.Arbitrary<number>): fc.Arbitrary<PlannedCall> =>
  fc.record({
    atMs: fc.integer({ min: 0, max: 2_000 }),
    gateway: fc.integer({ min: 0, max: 3 }),
    price,
    backQuarters: fc.constantFrom(0, 0, 0, 1, 3, 4),
    tookMs: fc.integer({ min: 0, max: 400 }),
  });

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("gateways that share a budget", () => {
  it("let exactly as many calls of one price pass as fit, however they are spread", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 20_000 }),
        fc.array(plannedCall(fc.constant(1_000)), { minLength: 1, maxLength: 40 }),
        fc.integer(),
        async (gateways, limit, calls, seed) => {
          const economy = new Economy(limit, gateways, randomFrom(seed), { leaseFailures: 0, pushLosses: 0 });
          const results = await run(
            economy,
            calls.map((call) => ({ ...call, backQuarters: 0 })),
          );
          const passed = results.filter((result) => result === undefined).length;
          expect(passed).toBe(Math.min(calls.length, Math.floor(limit / 1_000)));
          for (const result of results) if (result !== undefined) expect(result).toBe("insufficient_credit");
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ["", { leaseFailures: 0, pushLosses: 0 }],
    [" although requests fail and pushes are lost", { leaseFailures: 20, pushLosses: 20 }],
  ])("never overspend, and in the end can spend all of it to the last micro%s", async (_, faults) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 30_000 }),
        fc.array(plannedCall(fc.integer({ min: 1, max: 3_000 })), { minLength: 1, maxLength: 40 }),
        fc.integer(),
        async (gateways, limit, calls, seed) => {
          const economy = new Economy(limit, gateways, randomFrom(seed), faults);
          await run(economy, calls);
          // When nothing is asked for, what lies idle goes back, and what an outage left unsaid is said again.
          await vi.advanceTimersByTimeAsync(20_000);
          const rest = limit - economy.spent;
          const last = { price: rest, backQuarters: 0, tookMs: 0 };
          let outcome: string | undefined = "not asked";
          for (let attempt = 0; attempt < 20 && outcome !== undefined && rest > 0; attempt += 1) {
            outcome = await settled(economy.gateways[0]?.call(last) ?? Promise.resolve("no gateway"));
            await vi.advanceTimersByTimeAsync(2_000);
          }
          expect(rest === 0 ? undefined : outcome).toBe(undefined);
          await vi.advanceTimersByTimeAsync(5_000);
          expect({ spent: economy.spent, used: economy.used, held: economy.held }).toEqual({
            spent: limit,
            used: limit,
            held: 0,
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** One gateway whose database answers when the test says so. */
function scriptedPool(holder: { id: string | undefined }) {
  const asked: {
    holderId: string;
    requests: readonly LeaseRequest[];
    answer: (results: LeaseResult[]) => void;
    fail: (error: Error) => void;
  }[] = [];
  const pool = new BudgetPool({
    clock,
    logger: silentLogger,
    sliceSeconds: 3,
    holderId: () => holder.id,
    onHolderClosed: () => undefined,
    ports: {
      lease: (holderId, requests) => new Promise((answer, fail) => asked.push({ holderId, requests, answer, fail })),
      recall: () => undefined,
      announceReturned: () => undefined,
    },
  });
  const slice = pool.slice(walletBudgetId("ba_1"), "wallet", "ba_1");
  const granted = (total: bigint, available = 0n): LeaseResult[] => [
    { budgetId: slice.id, grantedTotal: total, available, heldByOthers: 0n },
  ];
  return { pool, slice, asked, granted };
}

describe("one gateway's slices", () => {
  it("asks once for all who wait, and again for those who came meanwhile", async () => {
    const { pool, slice, asked, granted } = scriptedPool({ id: "gw_1.0" });
    const first = [pool.wait(slice, 10), pool.wait(slice, 20)];
    await vi.advanceTimersByTimeAsync(0);
    const later = pool.wait(slice, 5);
    expect(asked.map(({ requests }) => requests[0]?.demand)).toEqual([30n]);
    asked[0]?.answer(granted(30n));
    await Promise.all(first);
    for (const amount of [10, 20]) pool.take(slice, amount, clock.nowMs());
    await vi.advanceTimersByTimeAsync(0);
    expect(asked[1]?.requests[0]?.demand).toBe(5n);
    asked[1]?.answer(granted(35n));
    await later;
    expect(slice.remaining).toBe(5);
  });

  it("asks for whole calls, so that no other call can take a part of one away meanwhile", async () => {
    const { pool, slice, asked, granted } = scriptedPool({ id: "gw_1.0" });
    const small = pool.wait(slice, 100);
    await vi.advanceTimersByTimeAsync(0);
    asked[0]?.answer(granted(100n, 900n));
    await small;
    const large = pool.wait(slice, 150);
    await vi.advanceTimersByTimeAsync(0);
    expect(asked[1]?.requests[0]).toMatchObject({ returnedTotal: 100n, demand: 150n, granule: 150n });
    expect(slice.remaining).toBe(0);
    asked[1]?.answer(granted(250n, 850n));
    await large;
    expect(slice.remaining).toBe(150);
  });

  it("takes back what a call did not need even while its run cannot be renewed", async () => {
    const holder: { id: string | undefined } = { id: "gw_1.0" };
    const { pool, slice, asked, granted } = scriptedPool(holder);
    const waiting = pool.wait(slice, 100);
    await vi.advanceTimersByTimeAsync(0);
    asked[0]?.answer(granted(100n));
    await waiting;
    pool.take(slice, 100, clock.nowMs());
    holder.id = undefined;
    pool.giveBack(slice, 60, "gw_1.0");
    holder.id = "gw_1.0";
    expect(slice.remaining).toBe(60);
  });

  it("keeps nothing that a call of an earlier run gives back", async () => {
    const holder: { id: string | undefined } = { id: "gw_1.0" };
    const { pool, slice, asked, granted } = scriptedPool(holder);
    const waiting = pool.wait(slice, 100);
    await vi.advanceTimersByTimeAsync(0);
    asked[0]?.answer(granted(100n));
    await waiting;
    pool.take(slice, 100, clock.nowMs());
    holder.id = "gw_1.1";
    pool.forgetAll();
    pool.giveBack(slice, 60, "gw_1.0");
    expect(slice.remaining).toBe(0);
  });

  it("does not take an answer to an earlier run for a lack of credit", async () => {
    const holder: { id: string | undefined } = { id: "gw_1.0" };
    const { pool, slice, asked, granted } = scriptedPool(holder);
    const waiting = pool.wait(slice, 100);
    await vi.advanceTimersByTimeAsync(0);
    holder.id = "gw_1.1";
    pool.forgetAll();
    asked[0]?.answer(granted(100n, 900n));
    await vi.advanceTimersByTimeAsync(0);
    expect(slice.isExhausted(100, clock.nowMs())).toBe(false);
    expect(asked[1]).toMatchObject({ holderId: "gw_1.1" });
    asked[1]?.answer(granted(100n, 900n));
    await waiting;
    expect(slice.remaining).toBe(100);
  });

  it("asks again after a failure, because what was granted may not have been heard", async () => {
    const { pool, slice, asked, granted } = scriptedPool({ id: "gw_1.0" });
    const refused = expect(pool.wait(slice, 100)).rejects.toMatchObject({ reason: "budgets_unavailable" });
    await vi.advanceTimersByTimeAsync(0);
    asked[0]?.fail(new Error("no answer to COMMIT"));
    await refused;
    await vi.advanceTimersByTimeAsync(300);
    expect(asked[1]?.requests[0]).toMatchObject({ demand: 0n });
    asked[1]?.answer(granted(100n));
    await vi.advanceTimersByTimeAsync(6_000);
    // Nobody wants it here: it goes back for others to spend.
    expect(asked[2]?.requests[0]?.returnedTotal).toBe(100n);
  });

  it("lets no one wait for longer than three seconds", async () => {
    const { pool, slice } = scriptedPool({ id: "gw_1.0" });
    const waiting = expect(pool.wait(slice, 100)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await vi.advanceTimersByTimeAsync(3_300);
    await waiting;
  });

  it("refuses at once while the run that holds the leases is not known to be alive", async () => {
    const { pool, slice } = scriptedPool({ id: undefined });
    const waiting = expect(pool.wait(slice, 100)).rejects.toMatchObject({ reason: "budgets_unavailable" });
    await vi.advanceTimersByTimeAsync(0);
    await waiting;
  });

  it("forgets that a budget was empty when credit arrives", async () => {
    const { pool, slice, asked, granted } = scriptedPool({ id: "gw_1.0" });
    const waiting = pool.wait(slice, 100);
    await vi.advanceTimersByTimeAsync(0);
    asked[0]?.answer(granted(0n));
    await waiting;
    expect(slice.isExhausted(100, clock.nowMs())).toBe(true);
    expect(slice.isExhausted(99, clock.nowMs())).toBe(false);
    pool.clearExhausted("ba_2");
    expect(slice.isExhausted(100, clock.nowMs())).toBe(true);
    pool.clearExhausted("ba_1");
    expect(slice.isExhausted(100, clock.nowMs())).toBe(false);
  });

  describe("when the limit is another", () => {
    const quota = (pool: BudgetPool, limit: bigint) => pool.slice("endpoint_free:1", "endpoint_free", "ba_1", limit);
    const answer = (grantedTotal: bigint): LeaseResult[] => [
      { budgetId: "endpoint_free:1", grantedTotal, available: 0n, heldByOthers: 0n },
    ];

    it("forget that the budget was empty", async () => {
      const { pool, asked } = scriptedPool({ id: "gw_1.0" });
      const slice = quota(pool, 5n);
      const waiting = pool.wait(slice, 1);
      await vi.advanceTimersByTimeAsync(0);
      asked[0]?.answer(answer(0n));
      await waiting;
      quota(pool, 5n);
      expect(slice.isExhausted(1, clock.nowMs())).toBe(true);
      quota(pool, 50n);
      expect(slice.isExhausted(1, clock.nowMs())).toBe(false);
    });

    it("give back what they hold under the one before", async () => {
      const { pool, asked } = scriptedPool({ id: "gw_1.0" });
      const slice = quota(pool, 50n);
      const waiting = pool.wait(slice, 20);
      await vi.advanceTimersByTimeAsync(0);
      asked[0]?.answer(answer(20n));
      await waiting;
      quota(pool, 50n);
      expect(slice.covers(20, clock.nowMs())).toBe(true);
      quota(pool, 5n);
      expect(slice.covers(1, clock.nowMs())).toBe(false);
      await vi.advanceTimersByTimeAsync(0);
      expect(asked[1]?.requests[0]).toMatchObject({ believedLimit: 5n, returnedTotal: 20n });
    });

    it("ask again for those who wait for an answer about the one before, and keep nothing of that", async () => {
      const { pool, asked } = scriptedPool({ id: "gw_1.0" });
      const slice = quota(pool, 50n);
      const waiting = pool.wait(slice, 1);
      await vi.advanceTimersByTimeAsync(0);
      quota(pool, 500n);
      asked[0]?.answer(answer(20n));
      await vi.advanceTimersByTimeAsync(0);
      expect(slice.remaining).toBe(0);
      expect(asked[1]?.requests[0]).toMatchObject({ believedLimit: 500n, returnedTotal: 20n, demand: 1n });
      asked[1]?.answer(answer(21n));
      await waiting;
      expect(slice.remaining).toBe(1);
    });
  });

  it("forgets the budgets of past months, and neither the wallet nor what is used", async () => {
    const { pool } = scriptedPool({ id: "gw_1.0" });
    const march = pool.slice("tier_free:2026-03", "tier_free", "ba_1");
    expect(pool.size).toBe(2);
    for (let day = 0; day < 50; day += 1) {
      vi.setSystemTime(Date.now() + 86_400_000);
      await vi.advanceTimersByTimeAsync(250);
      if (day === 25) pool.slice("tier_free:2026-04", "tier_free", "ba_1");
    }
    expect(pool.size).toBe(2);
    expect(pool.slice("tier_free:2026-03", "tier_free", "ba_1")).not.toBe(march);
  });
});
