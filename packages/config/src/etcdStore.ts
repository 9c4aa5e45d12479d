import type { Clock, Logger } from "@tollgate/kernel";
import { delay, jitteredBackoffMs } from "@tollgate/kernel";
import type { ICompare, IKeyValue, ILeaseKeepAliveResponse } from "etcd3";
import { castGrpcError, EtcdLeaseInvalidError } from "etcd3";
import { deadlineAfterMs, monotonicMs } from "./clock.ts";
import type { EtcdConnection } from "./connection.ts";
import { connectEtcd, etcdUnavailable, isOutage } from "./connection.ts";
import { Health } from "./health.ts";
import { prefixRange } from "./keyRange.ts";
import { watchPrefix } from "./prefixWatch.ts";
import type {
  EtcdStore,
  PrefixHandlers,
  PrefixWatch,
  StoredEntry,
  StoreLease,
  StoreStatus,
  StoreTransaction,
  StoreTransactionResult,
} from "./store.ts";

const ATTEMPTS_MAX = 3;
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 500;
const KEEP_ALIVE_DEADLINE_MS = 2_000;

export interface EtcdStoreOptions {
  /** One or several comma-separated http(s) addresses of the same cluster. */
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Put before every key and taken off again; keeps test suites apart on one server. */
  readonly namespace?: string;
}

/** The store over etcd 3.4 and later. Connects on first use and never gives up. */
export function createEtcdStore(options: EtcdStoreOptions): EtcdStore {
  return new Etcd3Store(options);
}

class Etcd3Store implements EtcdStore {
  readonly #connection: EtcdConnection;
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #health: Health;
  readonly #watches = new Set<PrefixWatch>();

  constructor(options: EtcdStoreOptions) {
    this.#connection = connectEtcd(options.url);
    this.#namespace = options.namespace ?? "";
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#health = new Health(options.clock);
  }

  async get(key: string): Promise<StoredEntry | undefined> {
    const answer = await this.#retried(() => this.#connection.kv.range({ key: this.#key(key) }));
    const [found] = answer.kvs;
    return found === undefined ? undefined : this.#toEntry(found);
  }

  async list(prefix: string): Promise<readonly StoredEntry[]> {
    const answer = await this.#retried(() => this.#connection.kv.range(prefixRange(this.#namespace + prefix)));
    return answer.kvs.map((keyValue) => this.#toEntry(keyValue));
  }

  async put(key: string, value: string, options: { readonly leaseId?: string } = {}): Promise<void> {
    await this.#retried(() => this.#connection.kv.put(this.#putRequest({ key, value, ...options })));
  }

  async delete(key: string): Promise<boolean> {
    const answer = await this.#retried(() => this.#connection.kv.deleteRange({ key: this.#key(key) }));
    return answer.deleted !== "0";
  }

  // Tried once: after an outage nobody knows whether it was committed, and a second attempt would fail on its own work.
  async transact(transaction: StoreTransaction): Promise<StoreTransactionResult> {
    const compare = transaction.expect.map(
      ({ key, revision }): ICompare => ({
        key: this.#key(key),
        target: "Mod",
        result: "Equal",
        mod_revision: String(revision),
      }),
    );
    const success = transaction.put.map((put) => ({ request_put: this.#putRequest(put) }));
    const answer = await this.#observed(() => this.#connection.kv.txn({ compare, success, failure: [] }));
    return { isCommitted: answer.succeeded, revision: BigInt(answer.header.revision) };
  }

  async compareAndSet(key: string, expectedRevision: bigint, value: string): Promise<boolean> {
    const result = await this.transact({ expect: [{ key, revision: expectedRevision }], put: [{ key, value }] });
    return result.isCommitted;
  }

  async grantLease(ttlSeconds: number): Promise<StoreLease> {
    const sentMs = monotonicMs();
    const granted = await this.#observed(() => this.#connection.leaseClient.leaseGrant({ TTL: ttlSeconds, ID: 0 }));
    return {
      id: granted.ID,
      ttlMs: Number(granted.TTL) * 1_000,
      sentMs,
      keepAlive: () => this.#observed(() => keepAliveOnce(this.#connection, granted.ID)),
      revoke: async () => {
        await this.#observed(async () => {
          try {
            await this.#connection.leaseClient.leaseRevoke({ ID: granted.ID });
          } catch (error) {
            // Already expired: its keys are gone, which is what was asked for.
            if (!(error instanceof EtcdLeaseInvalidError)) throw error;
          }
        });
      },
    };
  }

  watchPrefix(prefix: string, handlers: PrefixHandlers): PrefixWatch {
    const watch = watchPrefix({
      connection: this.#connection,
      prefix: this.#namespace + prefix,
      handlers,
      clock: this.#clock,
      logger: this.#logger,
      toEntry: (keyValue) => this.#toEntry(keyValue),
      onHealth: (isHealthy) => {
        if (isHealthy) this.#health.markHealthy();
        else this.#health.markFailed();
      },
    });
    this.#watches.add(watch);
    return {
      status: watch.status,
      waitUntilSynced: watch.waitUntilSynced,
      close: () => {
        watch.close();
        this.#watches.delete(watch);
      },
    };
  }

  status(): StoreStatus {
    return this.#health.status();
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    this.#connection.close();
  }

  /** Repeats a call that may be made twice while the store cannot be reached. */
  async #retried<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await call();
        this.#health.markHealthy();
        return answer;
      } catch (error) {
        if (!isOutage(error)) throw error;
        this.#health.markFailed();
        if (attempt >= ATTEMPTS_MAX) throw etcdUnavailable(error);
      }
      await delay(jitteredBackoffMs(attempt, RETRY_BASE_MS, RETRY_CAP_MS));
    }
  }

  /** Makes a call once and notes whether the store answered. */
  async #observed<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await call();
      this.#health.markHealthy();
      return answer;
    } catch (error) {
      if (!isOutage(error)) throw error;
      this.#health.markFailed();
      throw etcdUnavailable(error);
    }
  }

  #key(key: string): Buffer {
    return Buffer.from(this.#namespace + key);
  }

  #toEntry(keyValue: IKeyValue): StoredEntry {
    return {
      key: keyValue.key.toString("utf8").slice(this.#namespace.length),
      value: keyValue.value.toString("utf8"),
      revision: BigInt(keyValue.mod_revision),
    };
  }

  #putRequest(put: { key: string; value: string; leaseId?: string }) {
    return { key: this.#key(put.key), value: Buffer.from(put.value), lease: put.leaseId ?? 0 };
  }
}

/** One keep-alive on a stream of its own: no long-lived stream that could break between two of them. */
async function keepAliveOnce(connection: EtcdConnection, leaseId: string): Promise<boolean> {
  const stream = await connection.leaseClient.leaseKeepAlive({ deadline: deadlineAfterMs(KEEP_ALIVE_DEADLINE_MS) });
  return new Promise<boolean>((resolve, reject) => {
    stream.on("error", (error) => reject(castGrpcError(error)));
    stream.on("end", () => reject(etcdUnavailable(new Error("etcd ended the keep-alive without an answer"))));
    // etcd answers a lease that it does not know with a time to live of zero.
    stream.on("data", (response: ILeaseKeepAliveResponse) => resolve(Number(response.TTL) > 0));
    stream.write({ ID: leaseId });
    stream.end();
  });
}
