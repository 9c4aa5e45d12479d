import type { Clock, Logger } from "@tollgate/kernel";
import { delay, jitteredBackoffMs } from "@tollgate/kernel";
import type { IKeyValue, IWatchResponse } from "etcd3";
import type { EtcdConnection } from "./connection.ts";
import { Health } from "./health.ts";
import { prefixRange } from "./keyRange.ts";
import type { PrefixHandlers, PrefixWatch, StoredEntry, StoreStatus } from "./store.ts";

const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 1_000;
const CREATE_TIMEOUT_MS = 5_000;

export interface PrefixWatchOptions {
  readonly connection: EtcdConnection;
  readonly prefix: string;
  readonly handlers: PrefixHandlers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly toEntry: (keyValue: IKeyValue) => StoredEntry;
  /** Told when the connection breaks and when it works again, so that the store as a whole knows too. */
  readonly onHealth: (isHealthy: boolean) => void;
}

/**
 * Keeps a prefix in step with etcd: list it at some revision, then follow every change from the next one. Whatever goes
 * wrong (outage, compaction, a store that came back empty), the answer is the same: list and follow again.
 */
export function watchPrefix(options: PrefixWatchOptions): PrefixWatch {
  const { clock, logger, prefix, onHealth } = options;
  const health = new Health(clock);
  // Nothing has been read yet: until the first state is in, memory is as stale as it can be.
  health.markFailed();
  const abort = new AbortController();
  let hasState = false;
  let isSynced = false;
  let announceSynced = (): void => {};
  const synced = new Promise<void>((resolve) => {
    announceSynced = resolve;
  });

  const handle = (name: string, run: () => void): void => {
    try {
      run();
    } catch (error) {
      logger.error({ err: error, prefix, handler: name }, "A watch handler failed; the watch goes on");
    }
  };
  const onBroken = (error: unknown): void => {
    if (health.markFailed())
      logger.warn({ err: error, prefix }, "Lost the watch on etcd; keeping the last known values");
    onHealth(false);
  };
  const onFollowing = (): void => {
    if (health.markHealthy()) logger.info({ prefix }, "Watching etcd");
    isSynced = true;
    announceSynced();
    onHealth(true);
  };

  const followOnce = async (): Promise<void> => {
    const { key, range_end } = prefixRange(prefix);
    const listed = await options.connection.kv.range({ key, range_end });
    if (abort.signal.aborted) return;
    const isReconnect = hasState;
    handle("onState", () => options.handlers.onState(listed.kvs.map(options.toEntry), { isReconnect }));
    hasState = true;
    await follow(options, BigInt(listed.header.revision), abort.signal, handle, onFollowing);
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!abort.signal.aborted) {
      try {
        await followOnce();
      } catch (error) {
        // A watch that had worked before it broke starts its back-off anew.
        failures = health.status().isHealthy ? 1 : failures + 1;
        onBroken(error);
      }
      await delay(jitteredBackoffMs(Math.max(failures, 1), RETRY_BASE_MS, RETRY_CAP_MS), abort.signal);
    }
  };
  void run();

  return {
    status: (): StoreStatus => health.status(),
    waitUntilSynced: async (timeoutMs) => {
      const timeout = new AbortController();
      await Promise.race([synced, delay(timeoutMs, timeout.signal)]);
      timeout.abort();
      return isSynced;
    },
    close: () => abort.abort(),
  };
}

/** Follows changes after a revision; returns when aborted and throws when the stream breaks or etcd cancels it. */
async function follow(
  options: PrefixWatchOptions,
  listedRevision: bigint,
  signal: AbortSignal,
  handle: (name: string, run: () => void) => void,
  onFollowing: () => void,
): Promise<void> {
  const stream = await options.connection.watchClient.watch();
  let createTimer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = resolve;
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) return resolve();
      createTimer = setTimeout(() => reject(new Error("etcd did not create the watch in time")), CREATE_TIMEOUT_MS);
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("etcd ended the watch")));
      stream.on("data", (response: IWatchResponse) => {
        if (signal.aborted) return;
        if (response.canceled) return reject(new Error(`etcd cancelled the watch: ${cancelReason(response)}`));
        if (response.created) {
          if (BigInt(response.header.revision) < listedRevision) {
            assertNotEmptied(options, listedRevision).catch(reject);
          }
          clearTimeout(createTimer);
          onFollowing();
        }
        for (const event of response.events) {
          const entry = options.toEntry(event.kv);
          if (event.type === "Put") handle("onPut", () => options.handlers.onPut(entry));
          else handle("onDelete", () => options.handlers.onDelete(entry.key));
        }
      });
      stream.write({ create_request: { ...prefixRange(options.prefix), start_revision: String(listedRevision + 1n) } });
    });
  } finally {
    clearTimeout(createTimer);
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    // The cancellation comes back as an error, which must find a listener after the promise has settled. Ending first
    // keeps the library from taking our own cancellation for a failed host and closing its channels.
    stream.on("error", () => {});
    stream.end();
    stream.cancel();
  }
}

/**
 * A watch may be served by a member that has yet to catch up with what was listed, which it soon does. A store that was
 * emptied after the list counts from the start, and would be silent until it gets to where it was: the list, which asks the
 * whole cluster, tells them apart. @throws Error
 */
async function assertNotEmptied(options: PrefixWatchOptions, listedRevision: bigint): Promise<void> {
  const { header } = await options.connection.kv.range({ ...prefixRange(options.prefix), limit: 1 });
  if (BigInt(header.revision) < listedRevision) throw new Error("etcd lost its data since it was listed");
}

function cancelReason(response: IWatchResponse): string {
  return response.compact_revision === "0"
    ? response.cancel_reason
    : `compacted at revision ${response.compact_revision}`;
}
