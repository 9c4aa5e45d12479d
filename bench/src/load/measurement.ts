import { createHistogram } from "node:perf_hooks";
import { CoreWatch, readRanMs } from "../processes/cpuTime.ts";
import type { LoadResult } from "./loadPlan.ts";

const MICROS_MAX = 60_000_000;

/** Counts answers, and times those of the measured part. */
export class Measurement {
  readonly #histogram = createHistogram({ lowest: 1, highest: MICROS_MAX, figures: 3 });
  readonly #statuses = new Map<number, number>();
  readonly #serverPid: number;
  #isMeasuring = false;
  #answered = 0;
  #watch: CoreWatch | undefined;
  #ranMs: number | undefined;
  #timed: Omit<LoadResult, "answeredInAll" | "statuses"> | undefined;
  queuedMax = 0;

  constructor(serverPid: number) {
    this.#serverPid = serverPid;
  }

  count(status: number, dueAtMs: number): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    if (!this.#isMeasuring) return;
    this.#answered += 1;
    const micros = Math.round((performance.now() - dueAtMs) * 1_000);
    this.#histogram.record(Math.min(Math.max(micros, 1), MICROS_MAX));
  }

  begin(): void {
    this.queuedMax = 0;
    this.#ranMs = readRanMs(process.pid);
    this.#watch = new CoreWatch(this.#serverPid);
    this.#isMeasuring = true;
  }

  end(): void {
    this.#isMeasuring = false;
    if (this.#watch === undefined) throw new Error("Nothing was begun");
    const { elapsedMs, ranMs, othersMs } = this.#watch.stop();
    const ownMs = readRanMs(process.pid);
    const percentileMs = (percentile: number): number => this.#histogram.percentile(percentile) / 1_000;
    this.#timed = {
      answered: this.#answered,
      perSecond: (this.#answered / elapsedMs) * 1_000,
      p50Ms: percentileMs(50),
      p90Ms: percentileMs(90),
      p99Ms: percentileMs(99),
      maxMs: this.#histogram.max / 1_000,
      queuedMax: this.queuedMax,
      ...(ranMs === undefined
        ? {}
        : { serverMicrosPerRequest: (ranMs * 1_000) / this.#answered, serverBusy: ranMs / elapsedMs }),
      ...(othersMs === undefined ? {} : { othersOnCore: othersMs / elapsedMs }),
      ...(ownMs === undefined || this.#ranMs === undefined ? {} : { loadBusy: (ownMs - this.#ranMs) / elapsedMs }),
    };
  }

  /** When everything that was sent has been answered. */
  result(): LoadResult {
    if (this.#timed === undefined) throw new Error("Nothing was measured");
    return {
      ...this.#timed,
      answeredInAll: [...this.#statuses.values()].reduce((sum, count) => sum + count, 0),
      statuses: Object.fromEntries(this.#statuses),
    };
  }
}
