import type { Logger } from "@tollgate/kernel";
import { RATE_SEEDING_MS } from "@tollgate/messaging";

/**
 * Who else lets calls pass, and whether the shared windows answer. While they do not, this gateway is alone: it has the
 * limit divided by the number of gateways that were last known. That number comes from the shared windows; one that starts
 * during an outage, or sees others start, asks the database.
 */
export interface RateFleetOptions {
  readonly logger: Logger;
  /** Milliseconds of a clock that never steps. */
  readonly tick: () => number;
  /** How many others the database knows of. */
  readonly countOthers: () => Promise<number>;
}

/** How long nothing passes, at the end of an outage, so that everyone's reports are in before anyone asks again. */
const SETTLING_MS = 300;
/** How often the database is asked for others during an outage. */
const COUNT_MS = 5_000;
/** How long a gateway that starts during an outage waits for the number of the others. */
const FIRST_COUNT_MS_MAX = 2_000;

export class RateFleet {
  readonly #options: RateFleetOptions;
  #alive = 1;
  /** Since when nobody answers; undefined while somebody does. */
  #aloneSinceTick: number | undefined = Number.NEGATIVE_INFINITY;
  /** Until when others may still have to report what passed while they were alone. */
  #aloneUntilTick = Number.NEGATIVE_INFINITY;
  #countAtTick = Number.NEGATIVE_INFINITY;
  /** Until when the first count is waited for. */
  #countedByTick = Number.NEGATIVE_INFINITY;

  constructor(options: RateFleetOptions) {
    this.#options = options;
  }

  /** How many gateways share the limits, with this one. */
  get alive(): number {
    return this.#alive;
  }

  /** Whether this gateway decides without the others. */
  get isAlone(): boolean {
    return this.#aloneSinceTick !== undefined;
  }

  get aloneSinceTick(): number {
    return this.#aloneSinceTick ?? Number.NEGATIVE_INFINITY;
  }

  /** Whether calls wait, because it is known in a moment how to decide them. */
  isSettling(): boolean {
    if (!this.isAlone) return false;
    const tick = this.#options.tick();
    return tick < this.#countedByTick || this.#aloneUntilTick - tick <= SETTLING_MS;
  }

  onBeat(alive: number): void {
    // After an outage the others come back one by one.
    this.#alive = Math.max(1, alive, this.isAlone ? this.#alive : 1);
  }

  onUnanswered(error: unknown): void {
    const tick = this.#options.tick();
    const isStart = this.#aloneSinceTick === Number.NEGATIVE_INFINITY;
    this.#aloneUntilTick = Number.POSITIVE_INFINITY;
    if (this.#aloneSinceTick === undefined || isStart) {
      this.#aloneSinceTick = tick;
      if (isStart) this.#countedByTick = tick + FIRST_COUNT_MS_MAX;
      this.#options.logger.warn({ err: error, alive: this.#alive }, "rate limits are kept by this gateway alone");
    }
    if (tick < this.#countAtTick) return;
    this.#countAtTick = tick + COUNT_MS;
    void this.#count();
  }

  /** @param sentTick when what was answered was sent */
  onAnswered(sentTick: number): void {
    if (this.#aloneSinceTick === undefined) return;
    // At the start nothing has passed yet. Later, the others may have been alone as well and have still to report.
    const isStart = this.#aloneSinceTick === Number.NEGATIVE_INFINITY;
    if (this.#aloneUntilTick === Number.POSITIVE_INFINITY) this.#aloneUntilTick = sentTick + RATE_SEEDING_MS;
    if (!isStart && this.#options.tick() < this.#aloneUntilTick) return;
    this.#aloneSinceTick = undefined;
    this.#countAtTick = Number.NEGATIVE_INFINITY;
    this.#countedByTick = Number.NEGATIVE_INFINITY;
    if (!isStart) this.#options.logger.info("rate limits are kept by all gateways again");
  }

  async #count(): Promise<void> {
    try {
      const others = await this.#options.countOthers();
      if (this.isAlone) this.#alive = Math.max(this.#alive, others + 1);
    } catch (error) {
      this.#options.logger.debug({ err: error }, "the other gateways cannot be counted");
    }
    this.#countedByTick = Number.NEGATIVE_INFINITY;
  }
}
