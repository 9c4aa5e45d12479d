import { delay } from "@tollgate/kernel";
import { monotonicMs } from "./clock.ts";
import type { StoreLease } from "./store.ts";

const RETRY_MS = 200;

/**
 * Keeps a lease alive until it is lost or the signal aborts. A lease is lost when etcd says so, and also when its time to
 * live has passed without a confirmation: from then on etcd may have given its keys to another. The time counts from when
 * the confirmed request was *sent*, so this side gives up before etcd does. An outage shorter than that loses nothing.
 * @param onConfirmed called after every confirmation with the instant, on the monotonic clock, until which it holds;
 *   what it throws counts as a failed attempt
 */
export async function keepLease(
  lease: StoreLease,
  signal: AbortSignal,
  onConfirmed: (validUntilMs: number) => Promise<void> | void = () => {},
): Promise<"lost" | "aborted"> {
  const intervalMs = lease.ttlMs / 3;
  let confirmedSentMs = lease.sentMs;
  let waitMs = intervalMs;
  for (;;) {
    const remainingMs = confirmedSentMs + lease.ttlMs - monotonicMs();
    await delay(Math.max(0, Math.min(waitMs, remainingMs)), signal);
    if (signal.aborted) return "aborted";
    if (monotonicMs() - confirmedSentMs >= lease.ttlMs) return "lost";
    const sentMs = monotonicMs();
    try {
      if (!(await within(lease.keepAlive(), confirmedSentMs + lease.ttlMs - sentMs))) return "lost";
      confirmedSentMs = sentMs;
      const validUntilMs = sentMs + lease.ttlMs;
      await within(Promise.resolve(onConfirmed(validUntilMs)), validUntilMs - monotonicMs());
      waitMs = intervalMs;
    } catch {
      // The store is away (it keeps the account of that itself); try again until the time to live has passed.
      waitMs = Math.min(RETRY_MS, intervalMs);
    }
  }
}

/** A promise's value, or an exception once the time is up: a hung call must not outlive the lease it is about. */
async function within<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("No answer in time")), Math.max(0, timeoutMs));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
