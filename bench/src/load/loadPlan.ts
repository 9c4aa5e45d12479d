/** What the load generator is told to do. */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  /** Whole requests, sent in turn. */
  readonly requests: readonly string[];
  /**
   * `closed`: every connection sends its next request when it has its answer; finds the peak. `open`: requests are due at
   * a fixed rate whatever happens to the earlier ones, and their latency counts from when they were due, so that waiting
   * for a connection counts as well (no "coordinated omission").
   */
  readonly mode: "closed" | "open";
  /** Requests a second; for the open loop. */
  readonly ratePerSecond?: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** The process that is measured. */
  readonly serverPid: number;
}

/** What it saw, in the measured time; `answeredInAll` also counts the warm-up and what was under way at the end. */
export interface LoadResult {
  readonly answered: number;
  readonly answeredInAll: number;
  readonly perSecond: number;
  /** Answers by status, warm-up included. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Requests of the open loop that were due and had no free connection, at most. */
  readonly queuedMax: number;
  /** Processor time of the server a request; its share of its core; and what others had of that core. */
  readonly serverMicrosPerRequest?: number;
  readonly serverBusy?: number;
  readonly othersOnCore?: number;
  /** Of the load generator itself: near 1 it would be the limit. */
  readonly loadBusy?: number;
}
