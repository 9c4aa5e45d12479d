import type { RateClaim, RateWindow } from "@tollgate/messaging";
import { RATE_TOKEN_LIFE_MS, rateWindowOf } from "@tollgate/messaging";
import type { RateLimitRule } from "@tollgate/services/keys";
import { SlidingWindow } from "./slidingWindow.ts";

/** At most this share of a limit is held beyond what calls wait for: nothing of one below 50 calls a window. */
const SPARE_SHARE_MAX = 0.02;
/** How long tokens that came too late to be used under the slot of their grant are good for under a later one. */
const LATE_TOKEN_LIFE_MS = 25;
/** Corrections of slots that no window counts any more are dropped when there are more than of so many windows. */
const CORRECTED_WINDOWS_MAX = 2;
/** Tokens of a grant as large as this are renewed before they end: at such rates calls come faster than answers. */
const RENEWED_TOKENS_MIN = 16;
const RENEWED_LIFE_SHARE = 0.6;
const RENEWED_TOKENS_SHARE = 0.3;
const NOT_RENEWED = { renewTick: Number.POSITIVE_INFINITY, renewTokens: -1 };
/** The least time over which a rate is measured. */
const RATE_MEASURED_MS = 20;

/** Tokens that were granted together, to be used until a moment of this process' monotonic clock. */
export interface RateLease {
  /** The slot in which they are counted. */
  readonly slot: number;
  tokens: number;
  readonly untilTick: number;
  /** When or with how many tokens left more should be asked for, so that no call has to wait. */
  readonly renewTick: number;
  readonly renewTokens: number;
  /** Granted without asking anybody: what is used of it has to be reported, what is not has not. */
  readonly isLocal: boolean;
}

/**
 * One rate limit as this gateway sees it: tokens to use, what it remembers of its own calls, and what the shared windows
 * have still to be told. See {@link RateLimiter} for how they are asked.
 */
export class RateLimit {
  readonly name: RateLimitRule["name"];
  readonly id: string;
  readonly windowSeconds: number;
  readonly window: RateWindow;
  readonly #passed: SlidingWindow;
  /** In the order in which they end. */
  #leases: RateLease[] = [];
  #corrections = new Map<number, number>();
  #quota = 0;
  #policy = "";
  #deniedUntilTick = Number.NEGATIVE_INFINITY;
  #retryAtTick = 0;
  #left = 0;
  #askedTick = Number.NEGATIVE_INFINITY;
  #measuredTick = Number.NEGATIVE_INFINITY;
  #taken = 0;
  #ratePerMs = 0;
  #aloneSinceTick = Number.NaN;
  #aloneQuota = 0;

  constructor(rule: RateLimitRule) {
    this.name = rule.name;
    this.id = rule.id;
    this.windowSeconds = rule.windowSeconds;
    this.window = rateWindowOf(rule.windowSeconds);
    this.#passed = new SlidingWindow(this.window.slots);
    this.perSecond = rule.perSecond;
  }

  set perSecond(perSecond: number) {
    const quota = perSecond * this.windowSeconds;
    if (quota === this.#quota) return;
    this.#quota = quota;
    this.#policy = `"${this.name}";q=${quota};w=${this.windowSeconds}`;
    this.#deniedUntilTick = Number.NEGATIVE_INFINITY;
  }

  /** Calls that may pass in a window. */
  get quota(): number {
    return this.#quota;
  }

  /** The limit as a member of `RateLimit-Policy`. */
  get policy(): string {
    return this.#policy;
  }

  slotAt(nowMs: number): number {
    return Math.floor(nowMs / this.window.slotMs);
  }

  /** What a call may be counted under now; undefined when nothing is held. */
  leaseAt(tick: number): RateLease | undefined {
    for (;;) {
      const lease = this.#leases[0];
      if (lease === undefined) return undefined;
      if (lease.tokens > 0 && tick < lease.untilTick) return lease;
      this.#leases.shift();
      if (!lease.isLocal) this.#correct(lease.slot, -lease.tokens);
    }
  }

  /** Counts a call under a lease that {@link leaseAt} gave. */
  take(lease: RateLease): void {
    lease.tokens -= 1;
    this.#taken += 1;
    this.#passed.count(lease.slot);
    if (lease.isLocal) this.#correct(lease.slot, 1);
  }

  /** Takes back a call that was counted and then refused for another reason. */
  giveBack(lease: RateLease, tick: number): void {
    this.#taken -= 1;
    this.#passed.uncount(lease.slot);
    if (lease.isLocal) this.#correct(lease.slot, -1);
    if (tick < lease.untilTick) {
      lease.tokens += 1;
      if (!this.#leases.includes(lease)) this.#leases.unshift(lease);
    } else if (!lease.isLocal) {
      this.#correct(lease.slot, -1);
    }
  }

  /** Tokens that are held, over all leases. */
  heldAt(tick: number): number {
    let held = 0;
    for (const lease of this.#leases) if (tick < lease.untilTick) held += lease.tokens;
    return held;
  }

  /** What to ask for when calls wait. The corrections are in it; if it cannot be sent: {@link onUnsent}. */
  claim(tick: number, waiting: number): RateClaim {
    this.leaseAt(tick);
    const corrections = [...this.#corrections].filter(([, calls]) => calls !== 0);
    this.#corrections = new Map();
    const spare = waiting === 0 ? 0 : this.#spare(tick);
    return { id: this.id, quota: this.#quota, window: this.window, held: this.heldAt(tick), spare, corrections };
  }

  /** What to ask for beyond the calls that wait: what others of the same limit have asked for lately is there already. */
  #spare(tick: number): number {
    const expected = Math.min(this.#measure(tick), this.#quota * SPARE_SHARE_MAX);
    return Math.max(0, Math.floor(expected) - this.heldAt(tick + RATE_TOKEN_LIFE_MS / 2));
  }

  /**
   * A claim that may or may not have arrived. Calls that passed are reported again, and tokens are not given back again:
   * what is counted twice refuses a call, what is taken back twice lets one pass too many.
   */
  onUnsent(claim: RateClaim): void {
    for (const [slot, calls] of claim.corrections) if (calls > 0) this.#correct(slot, calls);
  }

  /**
   * Tokens have come. Their life is counted from when they were asked for, as nobody knows better. When it is over on their
   * arrival they are counted in the present slot instead of that of their grant, so that a Redis that answers late delays
   * calls and does not refuse them. @param nowMs the shared windows' time of the grant
   */
  onGranted(
    grant: { readonly granted: number; readonly left: number },
    nowMs: number,
    sentTick: number,
    tick: number,
  ): void {
    this.#left = grant.left;
    this.#askedTick = sentTick;
    if (grant.granted === 0) return;
    const slot = this.slotAt(nowMs);
    const untilTick = sentTick + RATE_TOKEN_LIFE_MS;
    if (tick < untilTick) {
      const isLarge = grant.granted >= RENEWED_TOKENS_MIN;
      const renewTick = isLarge ? sentTick + RATE_TOKEN_LIFE_MS * RENEWED_LIFE_SHARE : Number.POSITIVE_INFINITY;
      const renewTokens = isLarge ? Math.floor(grant.granted * RENEWED_TOKENS_SHARE) : -1;
      this.#leases.push({ slot, tokens: grant.granted, untilTick, renewTick, renewTokens, isLocal: false });
      return;
    }
    const lateSlot = this.slotAt(nowMs + tick - sentTick);
    if (lateSlot !== slot) {
      this.#correct(slot, -grant.granted);
      this.#correct(lateSlot, grant.granted);
    }
    this.#leases.push({
      slot: lateSlot,
      tokens: grant.granted,
      untilTick: tick + LATE_TOKEN_LIFE_MS,
      ...NOT_RENEWED,
      isLocal: false,
    });
  }

  /** Nothing is left; nobody needs to ask again before `tick`. @param retryTick when more can be granted */
  deny(untilTick: number, retryTick: number): void {
    this.#deniedUntilTick = untilTick;
    this.#retryAtTick = retryTick;
  }

  isDenied(tick: number): boolean {
    return tick < this.#deniedUntilTick;
  }

  /** Seconds, at least one, after which a call may pass. */
  retrySeconds(tick: number): number {
    return Math.max(1, Math.ceil((this.#retryAtTick - tick) / 1_000));
  }

  /**
   * Grants from this gateway's share of the limit, because nobody can be asked; or denies until the next slot.
   * In the first window without the others a gateway has at most what it had used and its part of what was known to be
   * left, so that unequal use before does not add up with equal shares after. @param sinceTick since when it is alone
   */
  leaseAlone(tick: number, nowMs: number, alive: number, sinceTick: number): void {
    const windowMs = this.window.slotMs * this.window.slots;
    let share = Math.max(1, Math.floor(this.#quota / alive));
    const slot = this.slotAt(nowMs);
    const used = this.#passed.used(slot);
    if (tick - sinceTick < windowMs && sinceTick - this.#askedTick < windowMs) {
      share = Math.min(share, this.#quotaAlone(sinceTick, used, alive));
    }
    const endOfSlotTick = tick + Math.max(1, (slot + 1) * this.window.slotMs - nowMs);
    const tokens = share - used;
    const untilTick = Math.min(endOfSlotTick, tick + RATE_TOKEN_LIFE_MS);
    if (tokens > 0) this.#leases = [{ slot, tokens, untilTick, ...NOT_RENEWED, isLocal: true }];
    else this.deny(untilTick, endOfSlotTick);
  }

  #quotaAlone(sinceTick: number, used: number, alive: number): number {
    if (this.#aloneSinceTick !== sinceTick) {
      this.#aloneSinceTick = sinceTick;
      this.#aloneQuota = used + Math.ceil(this.#left / alive);
    }
    return this.#aloneQuota;
  }

  /** The shared windows are gone: they are to be told of every call that is remembered, and what was granted is void. */
  onForgotten(nowMs: number): void {
    this.#leases = [];
    this.#passed.used(this.slotAt(nowMs));
    this.#corrections = new Map(this.#passed.entries());
    this.#deniedUntilTick = Number.NEGATIVE_INFINITY;
  }

  /** Whether there is something to tell. Tokens whose time is over become that here. */
  hasNews(tick: number): boolean {
    this.leaseAt(tick);
    return this.#corrections.size > 0;
  }

  get isIdle(): boolean {
    return this.#leases.length === 0 && this.#corrections.size === 0;
  }

  /** Calls that may still pass, as far as is known here. */
  remaining(tick: number, nowMs: number): number {
    if (this.isDenied(tick)) return 0;
    const isFresh = tick - this.#askedTick < 2 * RATE_TOKEN_LIFE_MS;
    const left = isFresh ? this.#left + this.heldAt(tick) : this.#quota - this.#passed.used(this.slotAt(nowMs));
    return Math.max(0, Math.min(this.#quota, left));
  }

  #correct(slot: number, calls: number): void {
    if (calls === 0) return;
    this.#corrections.set(slot, (this.#corrections.get(slot) ?? 0) + calls);
    if (this.#corrections.size <= CORRECTED_WINDOWS_MAX * this.window.slots) return;
    // Nobody has taken them for so long that most are of windows that are over.
    for (const old of this.#corrections.keys()) {
      if (old <= slot - this.window.slots) this.#corrections.delete(old);
    }
  }

  /** Calls that are to be expected within the life of a token. */
  #measure(tick: number): number {
    const elapsedMs = tick - this.#measuredTick;
    if (elapsedMs >= RATE_MEASURED_MS) {
      this.#ratePerMs = Math.max(0, this.#taken) / elapsedMs;
      this.#taken = 0;
      this.#measuredTick = tick;
    }
    return this.#ratePerMs * RATE_TOKEN_LIFE_MS;
  }
}
