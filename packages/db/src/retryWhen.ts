import { delay, jitteredBackoffMs } from "@tollgate/kernel";

export const ATTEMPTS_MAX = 15;
const BACKOFF_BASE_MS = 5;
const BACKOFF_CAP_MS = 500;

/** The pause after a failed attempt: longer each time, and never the same for two that met. */
export const pauseAfter = (attempt: number): Promise<void> =>
  delay(jitteredBackoffMs(attempt, BACKOFF_BASE_MS, BACKOFF_CAP_MS));

/** Runs again what failed in a way that lets it. @throws what the last attempt failed with */
export async function retryWhen<Result>(
  mayRepeat: (error: unknown) => boolean,
  run: () => PromiseLike<Result>,
  attemptsMax = ATTEMPTS_MAX,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= attemptsMax || !mayRepeat(error)) throw error;
      await pauseAfter(attempt);
    }
  }
}
