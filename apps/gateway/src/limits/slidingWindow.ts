/**
 * A rate limit over the last second, exact on the safe side: calls are counted in slots of 50 ms and a call passes while
 * the slots that touch the last second hold fewer than the limit. So no window of one second ever sees more than the
 * limit, and a steady caller gets at least 95% of it. Denied calls are not counted.
 */
const SLOT_MS = 50;
const SLOTS = 1_000 / SLOT_MS + 1;

export class SlidingWindow {
  #limit: number;
  #policy: string;
  readonly #slots = new Int32Array(SLOTS);
  #count = 0;
  #slot = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#policy = policyOf(limit);
  }

  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.#policy = policyOf(limit);
  }

  /** The limit as `RateLimit-Policy` states it (draft-ietf-httpapi-ratelimit-headers-11). */
  get policy(): string {
    return this.#policy;
  }

  /** How many more calls may pass now; 0 when none may. */
  remaining(nowMs: number): number {
    this.#advance(nowMs);
    return Math.max(0, this.#limit - this.#count);
  }

  /** Counts a call. Only after {@link remaining} was seen to be above 0. @returns where it was counted */
  count(): number {
    this.#slots[this.#slot % SLOTS] = (this.#slots[this.#slot % SLOTS] ?? 0) + 1;
    this.#count += 1;
    return this.#slot;
  }

  /** Takes back a call that was counted and then, maybe some time later, refused for another reason. */
  uncount(slot: number): void {
    if (slot <= this.#slot - SLOTS) return;
    this.#slots[slot % SLOTS] = (this.#slots[slot % SLOTS] ?? 0) - 1;
    this.#count -= 1;
  }

  /** A clock that steps back changes nothing: time stands still until it has caught up. */
  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS);
    if (slot <= this.#slot) return;
    const steps = Math.min(slot - this.#slot, SLOTS);
    for (let step = 1; step <= steps; step += 1) {
      const index = (slot - steps + step) % SLOTS;
      this.#count -= this.#slots[index] ?? 0;
      this.#slots[index] = 0;
    }
    this.#slot = slot;
  }
}

const policyOf = (limit: number): string => `"key";q=${limit};w=1`;
