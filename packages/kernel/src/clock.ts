/**
 * The only place where the real clock enters the product. Everything else takes a {@link Clock} from its context, so a
 * test can live through two years of billing in seconds.
 */
export interface Clock {
  /** The present instant. */
  now(): Date;
  /** The present instant in milliseconds since the Unix epoch; for hot paths, where a Date would be garbage. */
  nowMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  nowMs: () => Date.now(),
};

/** A clock that stands still until it is told to move. */
export class TestClock implements Clock {
  #nowMs: number;

  constructor(start: Date | string = "2026-01-15T12:00:00Z") {
    this.#nowMs = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  advanceMs(ms: number): void {
    if (ms < 0) throw new RangeError("A clock does not run backwards; use set() to jump");
    this.#nowMs += ms;
  }

  set(to: Date | string): void {
    this.#nowMs = new Date(to).getTime();
  }
}
