import type { CoreUse } from "../processes/cpuTime.ts";

/** What the folding process is told. */
export interface FoldPlan {
  readonly databaseUrl: string;
  readonly accounts: number;
  readonly calls: number;
  readonly batchCalls: number;
  /** Batches that are folded at the same time, as a worker's METERING_CONCURRENCY. */
  readonly concurrency: number;
}

export interface FoldResult {
  readonly calls: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of its core: what the worker had, and what others had. */
  readonly busy?: number;
  readonly others?: number;
}

/** What the folding process prints: its result, or what went wrong. */
export type FoldAnswer = FoldResult | { readonly problem: string };

export function toFoldResult(calls: number, { elapsedMs, ranMs, othersMs }: CoreUse): FoldResult {
  return {
    calls,
    seconds: elapsedMs / 1_000,
    perSecond: (calls / elapsedMs) * 1_000,
    ...(ranMs === undefined ? {} : { busy: ranMs / elapsedMs }),
    ...(othersMs === undefined ? {} : { others: othersMs / elapsedMs }),
  };
}
