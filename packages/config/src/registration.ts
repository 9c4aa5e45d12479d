import type { Logger } from "@tollgate/kernel";
import { delay, jitteredBackoffMs } from "@tollgate/kernel";
import { keepLease } from "./leaseKeeper.ts";
import type { EtcdStore, StoreLease } from "./store.ts";

const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 1_000;

export interface RegistrationOptions {
  readonly store: EtcdStore;
  readonly logger: Logger;
  readonly key: string;
  readonly value: string;
  /** The key vanishes this long after the process has gone without saying goodbye. */
  readonly ttlSeconds: number;
}

export interface Registration {
  isRegistered(): boolean;
  /** Resolves with true once the key is written, with false when that takes longer. */
  waitUntilRegistered(timeoutMs: number): Promise<boolean>;
  /** Removes the key at once. If the store is away the key goes when its lease runs out. */
  close(): Promise<void>;
}

/** Keeps a key in the store for as long as this process lives, through outages and through a store that lost its data. */
export function keepRegistered(options: RegistrationOptions): Registration {
  const { store, logger, key, value } = options;
  const abort = new AbortController();
  let lease: StoreLease | undefined;
  let isRegistered = false;
  let announceRegistered = (): void => {};
  const registered = new Promise<void>((resolve) => {
    announceRegistered = resolve;
  });

  const writeIfMissing = async (leaseId: string): Promise<void> => {
    const { isCommitted } = await store.transact({ expect: [{ key, revision: 0n }], put: [{ key, value, leaseId }] });
    if (isCommitted) logger.warn({ entry: key }, "The registration had been removed from outside; it is back");
  };

  const registerOnce = async (): Promise<void> => {
    const granted = await store.grantLease(options.ttlSeconds);
    lease = granted;
    if (abort.signal.aborted) return;
    await store.put(key, value, { leaseId: granted.id });
    isRegistered = true;
    announceRegistered();
    logger.info({ entry: key }, "Registered");
    const ended = await keepLease(granted, abort.signal, () => writeIfMissing(granted.id));
    if (ended === "lost") logger.warn({ entry: key }, "The registration's lease was lost; registering again");
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!abort.signal.aborted) {
      try {
        await registerOnce();
        failures = 0;
      } catch (error) {
        if (failures === 0) logger.warn({ err: error, entry: key }, "Cannot register now; trying again until it works");
        failures += 1;
        await delay(jitteredBackoffMs(failures, RETRY_BASE_MS, RETRY_CAP_MS), abort.signal);
      }
      isRegistered = false;
    }
  };
  void run();

  return {
    isRegistered: () => isRegistered && !abort.signal.aborted,
    waitUntilRegistered: async (timeoutMs) => {
      const timeout = new AbortController();
      await Promise.race([registered, delay(timeoutMs, timeout.signal)]);
      timeout.abort();
      return isRegistered;
    },
    close: async () => {
      abort.abort();
      try {
        // Whatever is still being written under this lease goes with it, or fails because it has gone.
        await lease?.revoke();
      } catch (error) {
        logger.warn({ err: error, entry: key }, "Could not deregister; the lease will run out by itself");
      }
    },
  };
}
