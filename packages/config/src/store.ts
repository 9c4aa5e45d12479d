/**
 * What the product asks of etcd, and nothing more: keys with revisions, transactions on those revisions, leases, and
 * prefixes that stay in memory. Everything else in this package is written against these few words, so the client
 * library behind them can be replaced in one file.
 */

/** One key as the store holds it. */
export interface StoredEntry {
  readonly key: string;
  readonly value: string;
  /** Store revision of the last change of this key. */
  readonly revision: bigint;
}

/** A transaction: it writes everything, or nothing when one expectation does not hold. */
export interface StoreTransaction {
  /** For each key the revision it must have; 0n means that it must not exist. */
  readonly expect: readonly { readonly key: string; readonly revision: bigint }[];
  readonly put: readonly { readonly key: string; readonly value: string; readonly leaseId?: string }[];
}

export interface StoreTransactionResult {
  readonly isCommitted: boolean;
  /** Store revision of the transaction; grows with every change of anything in the store. */
  readonly revision: bigint;
}

/** A lease: keys written under it vanish when it has not been kept alive for its time to live. */
export interface StoreLease {
  readonly id: string;
  readonly ttlMs: number;
  /** When it was asked for, on the monotonic clock: its time to live cannot have begun earlier. */
  readonly sentMs: number;
  /** Starts the time to live again. Returns false when the store no longer knows the lease. @throws unavailable */
  keepAlive(): Promise<boolean>;
  /** Ends the lease and deletes its keys at once. @throws unavailable */
  revoke(): Promise<void>;
}

/** How far memory can be trusted to equal the store. */
export interface StoreStatus {
  readonly isHealthy: boolean;
  /** Since when what is in memory may be out of date; null while it is current. */
  readonly staleSince: Date | null;
}

/**
 * Receives a prefix. The whole state comes first, and again after every interruption (so nothing that happened
 * meanwhile is missed); single changes come between. An exception thrown by a handler is logged and goes no further.
 */
export interface PrefixHandlers {
  onState(entries: readonly StoredEntry[], info: { readonly isReconnect: boolean }): void;
  onPut(entry: StoredEntry): void;
  onDelete(key: string): void;
}

export interface PrefixWatch {
  status(): StoreStatus;
  /** Resolves with true once the first whole state has been delivered, with false when that takes longer. */
  waitUntilSynced(timeoutMs: number): Promise<boolean>;
  close(): void;
}

/** Every call throws a retryable UNAVAILABLE `etcd_unavailable` when the store does not answer within a few seconds. */
export interface EtcdStore {
  get(key: string): Promise<StoredEntry | undefined>;
  /** Every key that starts with a prefix, in byte order. */
  list(prefix: string): Promise<readonly StoredEntry[]>;
  put(key: string, value: string, options?: { readonly leaseId?: string }): Promise<void>;
  /** Returns whether the key was there. */
  delete(key: string): Promise<boolean>;
  transact(transaction: StoreTransaction): Promise<StoreTransactionResult>;
  /** Writes only if the key is still at a revision (0n: absent). Returns whether it did. */
  compareAndSet(key: string, expectedRevision: bigint, value: string): Promise<boolean>;
  grantLease(ttlSeconds: number): Promise<StoreLease>;
  /** Follows a prefix for ever: outages, compaction and a store that lost its data end in a new whole state, never in an exception. */
  watchPrefix(prefix: string, handlers: PrefixHandlers): PrefixWatch;
  status(): StoreStatus;
  close(): void;
}
