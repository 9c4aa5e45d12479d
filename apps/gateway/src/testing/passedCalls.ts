/** The most calls that passed in any window of a length; windows that begin with a call are enough to look at. */
export function mostInAnyWindow(passedAtMs: readonly number[], windowMs: number): number {
  const sorted = [...passedAtMs].sort((a, b) => a - b);
  let most = 0;
  let to = 0;
  for (let from = 0; from < sorted.length; from += 1) {
    while (to < sorted.length && (sorted[to] as number) < (sorted[from] as number) + windowMs) to += 1;
    most = Math.max(most, to - from);
  }
  return most;
}
