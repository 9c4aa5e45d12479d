import { retryAt } from "../../outbound/index.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The waits after each failed attempt; after the last of them an operator has to look. Three weeks in all. */
export const RETRY_DELAYS_MS = [
  10_000,
  MINUTE_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  ...Array.from({ length: 20 }, () => DAY_MS),
] as const;

export type DeletionPlan =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly at: Date }
  | { readonly kind: "failed" };

export interface DeletionFacts {
  /** Attempts so far, this one included. */
  readonly attempts: number;
  /** The status of the answer; null when there was none. */
  readonly status: number | null;
  /** What the upstream asked to wait (`Retry-After`), if it did. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * What becomes of a deletion after an attempt. Only 2xx says that the data is gone: a redirect is not followed, and a 404 or
 * 410 may be a mistake in the address. An upstream may ask for a longer wait, up to a day.
 */
export function planDeletion({ attempts, status, retryAfterMs }: DeletionFacts, now: Date): DeletionPlan {
  if (status !== null && status >= 200 && status < 300) return { kind: "done" };
  const delayMs = RETRY_DELAYS_MS[attempts - 1];
  if (delayMs === undefined) return { kind: "failed" };
  return { kind: "retry", at: retryAt(now, delayMs, retryAfterMs) };
}
