import { parentPort, workerData } from "node:worker_threads";

/**
 * Wakes the load generator at a finer grain than timers, which know whole milliseconds only, and without spinning, which
 * would take the core from the upstream. A wake-up is posted only when the last one has been seen.
 */
const { flag, everyMs } = workerData as { readonly flag: Int32Array; readonly everyMs: number };

for (;;) {
  // Nobody notifies: this is a sleep.
  Atomics.wait(flag, 1, 0, everyMs);
  if (Atomics.exchange(flag, 0, 1) === 0) parentPort?.postMessage(null);
}
