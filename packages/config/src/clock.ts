/** Milliseconds on a clock that never jumps; for the age of a lease, which the wall clock must not be able to stretch. */
export function monotonicMs(): number {
  return performance.now();
}

/** A gRPC deadline (milliseconds since the epoch, on the real clock) this far ahead. */
export function deadlineAfterMs(ms: number): number {
  return Date.now() + ms;
}
