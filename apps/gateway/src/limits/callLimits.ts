import type { KeyRecord, RateSettings } from "@tollgate/services/keys";
import { rateLimitsOf } from "@tollgate/services/keys";
import type { Refusal } from "../admission/refusal.ts";
import { rateRefusal } from "../admission/refusal.ts";
import type { RateLease, RateLimit } from "./rateLimit.ts";
import type { RateLimiter } from "./rateLimiter.ts";

/** That a call was counted by all of its limits. The same ticket serves every call that is counted under the same leases. */
export class RateTicket {
  readonly #limits: readonly RateLimit[];
  readonly #leases: readonly RateLease[];
  readonly #limiter: RateLimiter;
  /** More has been asked for, or will not be. */
  #isRenewed: boolean;

  constructor(limiter: RateLimiter, limits: readonly RateLimit[], leases: readonly RateLease[]) {
    this.#limiter = limiter;
    this.#limits = limits;
    this.#leases = leases;
    // With one token a call of one limit there is nothing to renew in the others.
    this.#isRenewed = leases.some((lease) => lease.renewTokens < 0);
  }

  hasLease(index: number, lease: RateLease): boolean {
    return this.#leases[index] === lease;
  }

  take(): void {
    for (let index = 0; index < this.#limits.length; index += 1) {
      this.#limits[index]?.take(this.#leases[index] as RateLease);
    }
  }

  /** Whether more should be asked for by now; says so once. */
  shouldRenew(tick: number): boolean {
    if (this.#isRenewed) return false;
    for (let index = 0; index < this.#leases.length; index += 1) {
      const lease = this.#leases[index] as RateLease;
      if (tick < lease.renewTick && lease.tokens > lease.renewTokens) continue;
      this.#isRenewed = true;
      return true;
    }
    return false;
  }

  /** The call was refused for another reason after all: a refused call uses nothing up. */
  giveBack(): void {
    const tick = this.#limiter.tick();
    for (let index = 0; index < this.#limits.length; index += 1) {
      const limit = this.#limits[index] as RateLimit;
      limit.giveBack(this.#leases[index] as RateLease, tick);
      this.#limiter.touch(limit);
    }
  }
}

/** A call that waits for its limits to be asked. */
export type RateWaiter = (decision: RateTicket | Refusal) => void;

/**
 * The limits that the calls of one key count under: the key's own, its project's, its tier's. A call passes all of them or
 * is counted by none. With tokens of each at hand that is decided here and now, without an allocation.
 */
export class CallLimits {
  /** In the order in which they came. */
  readonly waiters: RateWaiter[] = [];
  isAsking = false;
  readonly #record: KeyRecord;
  readonly #limiter: RateLimiter;
  #settings: RateSettings | undefined;
  #limits: readonly RateLimit[] = [];
  #policy = "";
  #ticket: RateTicket | undefined;

  constructor(record: KeyRecord, limiter: RateLimiter) {
    this.#record = record;
    this.#limiter = limiter;
  }

  get limits(): readonly RateLimit[] {
    this.#follow();
    return this.#limits;
  }

  /** Counts a call; or says why it may not pass; or undefined when that must be asked: {@link RateLimiter.wait}. */
  admit(tick: number): RateTicket | Refusal | undefined {
    this.#follow();
    const limits = this.#limits;
    let isSame = this.#ticket !== undefined;
    let isMissing = false;
    for (let index = 0; index < limits.length; index += 1) {
      const limit = limits[index] as RateLimit;
      const lease = limit.leaseAt(tick);
      if (lease === undefined) {
        if (limit.isDenied(tick)) return rateRefusal(limit, this, tick);
        isMissing = true;
      } else if (isSame && this.#ticket?.hasLease(index, lease) !== true) {
        isSame = false;
      }
    }
    if (isMissing) return undefined;
    const ticket = isSame && this.#ticket !== undefined ? this.#ticket : this.#newTicket(tick);
    ticket.take();
    if (ticket.shouldRenew(tick)) this.#limiter.renew(this);
    return ticket;
  }

  /** What the answer to a call says of its limits: `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). */
  get policy(): string {
    return this.#policy;
  }

  /** And `RateLimit`: what is left of each. */
  remainingText(tick: number): string {
    const nowMs = this.#limiter.storeNowMs();
    let text = "";
    for (const limit of this.#limits) {
      const left = limit.remaining(tick, nowMs);
      const resetSeconds = left === 0 ? limit.retrySeconds(tick) : limit.windowSeconds;
      text += `${text === "" ? "" : ", "}"${limit.name}";r=${left};t=${resetSeconds}`;
    }
    return text;
  }

  /** Another setting in force makes other limits. */
  #follow(): void {
    const settings = this.#limiter.settings;
    if (this.#settings === settings) return;
    this.#settings = settings;
    this.#limits = rateLimitsOf(this.#record, settings).map((rule) => this.#limiter.limit(rule));
    this.#policy = this.#limits.map((limit) => limit.policy).join(", ");
    this.#ticket = undefined;
  }

  #newTicket(tick: number): RateTicket {
    const leases = this.#limits.map((limit) => limit.leaseAt(tick) as RateLease);
    this.#ticket = new RateTicket(this.#limiter, this.#limits, leases);
    return this.#ticket;
  }
}
