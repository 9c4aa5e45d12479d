import type { Logger } from "@tollgate/kernel";
import { chunksOf } from "@tollgate/kernel";
import type { RateAnswer, RateClaim, RateGrant, RateStore } from "@tollgate/messaging";
import type { KeyRecord, RateLimitRule, RateSettings } from "@tollgate/services/keys";
import { LRUCache } from "lru-cache";
import type { Refusal } from "../admission/refusal.ts";
import { REFUSALS } from "../admission/refusal.ts";
import type { RateTicket } from "./callLimits.ts";
import { CallLimits } from "./callLimits.ts";
import { RateFleet } from "./rateFleet.ts";
import { RateLimit } from "./rateLimit.ts";
import { isSameRates, pickRates } from "./rateSettings.ts";

/**
 * Rate limits over all gateways. The truth is in Redis, in windows that every gateway asks for tokens. A call that finds
 * tokens of all of its limits at hand takes them and asks nobody. One that does not waits with the others of its key, and
 * one question is asked for all of them, with some to spare at high rates; at low ones a token is asked for call by call, so
 * that none is held where another gateway could use it.
 *
 * Without an answer each gateway goes on alone, with the limit divided by the number of gateways that were last seen alive,
 * and reports what passed once it is answered again. See docs/decisions/0034-rate-limits-by-leased-tokens.md.
 */
export interface RateLimiterOptions {
  readonly store: RateStore;
  /** Of this process, among all gateways. */
  readonly name: string;
  readonly settings: () => RateSettings;
  readonly logger: Logger;
  readonly limitsMax: number;
  /** Milliseconds of a clock that never steps. */
  readonly tick: () => number;
  /** How many other gateways the database knows of; asked for while nobody else answers. */
  readonly countOthers: () => Promise<number>;
  readonly delay: (ms: number) => Promise<void>;
}

/** How often a gateway says that it is there, and what has to be corrected. */
export const RATE_BEAT_MS = 100;
/** How long a denial stands without asking again: tokens of others may come back meanwhile. */
const DENIED_MS_MAX = 25;
const SETTLING_LOOK_MS = 25;
const CORRECTIONS_PER_ASK = 100;

export class RateLimiter {
  readonly #options: RateLimiterOptions;
  readonly #limits: LRUCache<string, RateLimit>;
  readonly #fleet: RateFleet;
  /** With something to report, now or when their tokens end. */
  readonly #touched = new Set<RateLimit>();
  #settings: RateSettings;
  #epoch = "";
  #storeAheadMs = 0;
  #isBeating = false;
  /** How many questions were asked for calls, for the metrics. */
  asked = 0;

  constructor(options: RateLimiterOptions) {
    this.#options = options;
    this.#fleet = new RateFleet(options);
    this.#limits = new LRUCache({
      max: options.limitsMax,
      // While nobody takes reports they would pile up without end.
      dispose: (limit) => {
        if (this.isAlone) this.#touched.delete(limit);
      },
    });
    this.#settings = pickRates(options.settings());
  }

  /** What is in force; another object when it has changed. */
  get settings(): RateSettings {
    return this.#settings;
  }

  /** Whether this gateway decides without the others. */
  get isAlone(): boolean {
    return this.#fleet.isAlone;
  }

  tick(): number {
    return this.#options.tick();
  }

  /** The time of the shared windows, as near as it is known. */
  storeNowMs(): number {
    return this.tick() + this.#storeAheadMs;
  }

  limitsOf(record: KeyRecord): CallLimits {
    return new CallLimits(record, this);
  }

  limit(rule: RateLimitRule): RateLimit {
    let limit = this.#limits.get(rule.id);
    if (limit === undefined) {
      limit = new RateLimit(rule);
      this.#limits.set(rule.id, limit);
    }
    limit.perSecond = rule.perSecond;
    return limit;
  }

  /** The limit has, or will have, something to report. */
  touch(limit: RateLimit): void {
    this.#touched.add(limit);
  }

  /** Waits until it is known whether a call may pass; its token is taken then. */
  wait(set: CallLimits): Promise<RateTicket | Refusal> {
    return new Promise((resolve) => {
      set.waiters.push(resolve);
      if (set.isAsking) return;
      set.isAsking = true;
      // Whoever comes in the same turn is asked for with us.
      setImmediate(() => void this.#askFor(set));
    });
  }

  /** Asks for more before what is held ends; nobody waits for that. */
  renew(set: CallLimits): void {
    if (set.isAsking || this.isAlone) return;
    set.isAsking = true;
    setImmediate(() => void this.#askFor(set, true));
  }

  /** Says that this gateway is there, learns of the others, and reports; to be called every {@link RATE_BEAT_MS}. */
  async beat(): Promise<void> {
    this.#followSettings();
    if (this.#isBeating) return;
    this.#isBeating = true;
    try {
      const sentTick = this.tick();
      const { nowMs, epoch, alive } = await this.#options.store.beat(this.#options.name);
      this.#fleet.onBeat(alive);
      this.#onTime(nowMs);
      if (epoch !== this.#epoch) this.#onEpoch(epoch);
      await this.#report();
      this.#fleet.onAnswered(sentTick);
    } catch (error) {
      this.#fleet.onUnanswered(error);
    } finally {
      this.#isBeating = false;
    }
  }

  async #askFor(set: CallLimits, isRenewal = false): Promise<void> {
    try {
      if (isRenewal) await this.#ask(set);
      while (set.waiters.length > 0) {
        this.#serve(set);
        if (set.waiters.length === 0) break;
        if (this.#fleet.isSettling()) await this.#options.delay(SETTLING_LOOK_MS);
        else if (this.isAlone) this.#leaseAlone(set);
        else await this.#ask(set);
      }
    } catch (error) {
      // Not the store's failure: no call may wait for ever, and none passes uncounted.
      this.#options.logger.error({ err: error }, "rate limits cannot be decided");
      for (const waiter of set.waiters.splice(0)) waiter(REFUSALS.rate);
    } finally {
      set.isAsking = false;
    }
  }

  /** Lets those pass that can, in their order, and refuses those for whom nothing is left. */
  #serve(set: CallLimits): void {
    const tick = this.tick();
    let served = 0;
    for (const waiter of set.waiters) {
      const decision = set.admit(tick);
      if (decision === undefined) break;
      served += 1;
      waiter(decision);
    }
    set.waiters.splice(0, served);
  }

  async #ask(set: CallLimits): Promise<void> {
    const { limits } = set;
    // Nobody waits for a renewal: it asks for one call, and for what is to be spared.
    const waiting = Math.max(1, set.waiters.length);
    const sentTick = this.tick();
    const epoch = this.#epoch;
    const claims = limits.map((limit) => limit.claim(sentTick, waiting));
    this.asked += 1;
    let answer: RateAnswer;
    try {
      answer = await this.#options.store.ask({ epoch, waiting, claims });
    } catch (error) {
      this.#onUnsent(limits, claims);
      this.#fleet.onUnanswered(error);
      return;
    }
    this.#onTime(answer.nowMs);
    switch (answer.kind) {
      case "epoch":
        this.#onEpoch(answer.epoch);
        return;
      case "seeding":
        await this.#options.delay(answer.leftMs);
        return;
      case "granted":
        // What was granted in windows that are gone is counted nowhere.
        if (epoch === this.#epoch) this.#onGranted(set, limits, answer, waiting, sentTick);
    }
  }

  #onGranted(
    set: CallLimits,
    limits: readonly RateLimit[],
    answer: { readonly nowMs: number; readonly grants: readonly RateGrant[] },
    waiting: number,
    sentTick: number,
  ): void {
    const tick = this.tick();
    const passing = Math.min(
      ...limits.map((limit, index) => limit.heldAt(tick) + (answer.grants[index]?.granted ?? 0)),
    );
    for (const [index, limit] of limits.entries()) {
      const grant = answer.grants[index] as RateGrant;
      limit.onGranted(grant, answer.nowMs, sentTick, tick);
      this.touch(limit);
      if (passing < waiting && grant.left === 0) {
        limit.deny(tick + Math.min(grant.retryMs, DENIED_MS_MAX), tick + grant.retryMs);
      }
    }
    this.#serve(set);
  }

  #leaseAlone(set: CallLimits): void {
    const tick = this.tick();
    for (const limit of set.limits) {
      if (limit.leaseAt(tick) !== undefined || limit.isDenied(tick)) continue;
      limit.leaseAlone(tick, this.storeNowMs(), this.#fleet.alive, this.#fleet.aloneSinceTick);
      this.touch(limit);
    }
    this.#serve(set);
  }

  /** Tells the shared windows. */
  async #report(): Promise<void> {
    const tick = this.tick();
    const limits: RateLimit[] = [];
    for (const limit of this.#touched) {
      if (limit.hasNews(tick)) limits.push(limit);
      else if (limit.isIdle) this.#touched.delete(limit);
    }
    for (const some of chunksOf(limits, CORRECTIONS_PER_ASK)) {
      const claims = some.map((limit) => limit.claim(tick, 0));
      try {
        const answer = await this.#options.store.ask({ epoch: this.#epoch, waiting: 0, claims });
        if (answer.kind !== "epoch") continue;
        this.#onEpoch(answer.epoch);
        return;
      } catch (error) {
        this.#onUnsent(some, claims);
        throw error;
      }
    }
  }

  #onUnsent(limits: readonly RateLimit[], claims: readonly RateClaim[]): void {
    for (const [index, limit] of limits.entries()) {
      limit.onUnsent(claims[index] as RateClaim);
      this.touch(limit);
    }
  }

  #onTime(nowMs: number): void {
    this.#storeAheadMs = nowMs - this.tick();
  }

  /** The windows begin anew, or are seen for the first time. */
  #onEpoch(epoch: string): void {
    if (epoch === this.#epoch) return;
    if (this.#epoch !== "")
      this.#options.logger.warn({ epoch }, "the windows of rate limits were lost; filling them again");
    this.#epoch = epoch;
    for (const limit of this.#limits.values()) {
      limit.onForgotten(this.storeNowMs());
      this.touch(limit);
    }
  }

  #followSettings(): void {
    const settings = this.#options.settings();
    if (!isSameRates(settings, this.#settings)) this.#settings = pickRates(settings);
  }
}
