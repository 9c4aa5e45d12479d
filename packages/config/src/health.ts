import type { Clock } from "@tollgate/kernel";
import type { StoreStatus } from "./store.ts";

/** Remembers since when something has been failing; the first failure counts, not the latest. */
export class Health {
  readonly #clock: Clock;
  #staleSince: Date | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns whether this is news. */
  markFailed(): boolean {
    if (this.#staleSince !== null) return false;
    this.#staleSince = this.#clock.now();
    return true;
  }

  /** Returns whether this is news. */
  markHealthy(): boolean {
    const wasFailing = this.#staleSince !== null;
    this.#staleSince = null;
    return wasFailing;
  }

  status(): StoreStatus {
    return { isHealthy: this.#staleSince === null, staleSince: this.#staleSince };
  }
}
