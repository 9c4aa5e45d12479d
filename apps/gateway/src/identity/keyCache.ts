import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Logger } from "@tollgate/kernel";
import type { KeyRecord } from "@tollgate/services/keys";
import { hashKey, hasValidChecksum } from "@tollgate/services/keys";
import { LRUCache } from "lru-cache";
import type { Digested } from "./digestCache.ts";
import { DigestCache } from "./digestCache.ts";

/**
 * Keys in memory: SHA-256 of the key's text → what the gateway must know of it. What is not there is loaded once however
 * many calls wait for it. Events take entries out; while events are known to flow an entry may stay long, and when they do
 * not, it is trusted for seconds only.
 *
 * An entry that was being loaded when its event came is loaded again: it may have been read before the change.
 */
export interface KeyCachePorts<Entry> {
  load(hash: string): Promise<KeyRecord | undefined>;
  /** Makes what the gateway keeps of a record. */
  toEntry(record: KeyRecord): Entry;
}

export interface KeyCacheOptions<Entry> {
  readonly ports: KeyCachePorts<Entry>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly entriesMax: number;
  /** Whether events are known to flow. */
  readonly isPushAlive: () => boolean;
}

/** How long an entry is trusted while events flow: it bounds what a lost event can do. */
const TRUSTED_MS = 60_000;
/** How long an entry is trusted while they do not. */
const TRUSTED_WITHOUT_PUSH_MS = 10_000;
/** How soon a look-up that failed is tried again, for a key that is still trusted. */
const REFRESH_AGAIN_MS = 1_000;
const UNKNOWN_TRUSTED_MS = 10_000;
const UNKNOWN_MAX = 50_000;

/** Its times are counted from when the cache was made: such numbers lie in the object, those of 1970 beside it. */
interface Cached<Entry> extends Digested<Cached<Entry>> {
  readonly entry: Entry;
  readonly record: KeyRecord;
  readonly loadedAtMs: number;
  /** Not before then is it looked up again. */
  refreshAtMs: number;
}

interface Loading<Entry> {
  readonly promise: Promise<Entry | undefined>;
  /** Of the events that came meanwhile: whether what they changed is in what is being read. */
  changes: ((record: KeyRecord | undefined) => boolean)[];
}

export class KeyCache<Entry extends object> {
  readonly #options: KeyCacheOptions<Entry>;
  readonly #madeAtMs: number;
  readonly #known: DigestCache<Cached<Entry>>;
  /** Apart from the known ones, so that a flood of made-up keys does not push real ones out. */
  readonly #unknown = new LRUCache<string, number>({ max: UNKNOWN_MAX });
  readonly #loading = new Map<string, Loading<Entry>>();
  /** The key that came last over a connection, which says the same one again and again, and forgets it when it is gone. */
  readonly #last = new WeakMap<object, { readonly text: string; readonly digest: string }>();

  constructor(options: KeyCacheOptions<Entry>) {
    this.#options = options;
    this.#madeAtMs = options.clock.nowMs();
    this.#known = new DigestCache(options.entriesMax);
  }

  /**
   * The entry of a key's text, or null if there is no such key, or undefined if that must be asked: {@link load}.
   * @param connection what the key came over
   */
  find(text: string, nowMs: number, connection: object): Entry | null | undefined {
    const digest = this.#digestOf(text, connection);
    const cached = this.#known.get(digest);
    if (cached !== undefined) {
      const trustedMs = this.#options.isPushAlive() ? TRUSTED_MS : TRUSTED_WITHOUT_PUSH_MS;
      const sinceMs = nowMs - this.#madeAtMs;
      const ageMs = sinceMs - cached.loadedAtMs;
      if (ageMs >= trustedMs) return undefined;
      if (ageMs >= trustedMs / 2 && sinceMs >= cached.refreshAtMs) this.#refresh(text, cached, sinceMs);
      return cached.entry;
    }
    const unknownAtMs = this.#unknown.get(digest);
    if (unknownAtMs !== undefined && nowMs - unknownAtMs < UNKNOWN_TRUSTED_MS) return null;
    return hasValidChecksum(text) ? undefined : null;
  }

  /** @throws TollgateError `database_unavailable` */
  load(text: string): Promise<Entry | undefined> {
    const keyHash = hashKey(text);
    const existing = this.#loading.get(keyHash);
    if (existing !== undefined) return existing.promise;
    const loading: Loading<Entry> = { promise: this.#loadFresh(keyHash), changes: [] };
    this.#loading.set(keyHash, loading);
    const forget = (): void => {
      this.#loading.delete(keyHash);
    };
    loading.promise.then(forget, forget);
    return loading.promise;
  }

  /** A key in use is looked up again while it is still trusted: its calls wait for the database once, not every minute. */
  #refresh(text: string, cached: Cached<Entry>, sinceMs: number): void {
    cached.refreshAtMs = sinceMs + REFRESH_AGAIN_MS;
    this.load(text).catch((error: unknown) =>
      this.#options.logger.debug({ err: error }, "a key was not looked up again"),
    );
  }

  #digestOf(text: string, connection: object): string {
    const last = this.#last.get(connection);
    if (last?.text === text) return last.digest;
    const digest = hash("sha256", text, "binary");
    this.#last.set(connection, { text, digest });
    return digest;
  }

  /** @param keyHash as the database and the events have it: {@link hashKey} */
  invalidate(keyHash: string): void {
    const digest = toDigest(keyHash);
    this.#known.delete(digest);
    this.#unknown.delete(digest);
    this.#loading.get(keyHash)?.changes.push(() => true);
  }

  /** For changes above a key: its project, its account, its owner. */
  invalidateWhere(matches: (record: KeyRecord) => boolean): void {
    for (const cached of this.#known.values()) if (matches(cached.record)) this.#known.delete(cached.digest);
    // A key that is not there has nothing above it that could have changed.
    for (const { changes } of this.#loading.values()) changes.push((record) => record !== undefined && matches(record));
  }

  async #loadFresh(keyHash: string): Promise<Entry | undefined> {
    const digest = toDigest(keyHash);
    for (;;) {
      const askedAtMs = this.#options.clock.nowMs();
      const record = await this.#options.ports.load(keyHash);
      const loading = this.#loading.get(keyHash);
      if (loading !== undefined) {
        const { changes } = loading;
        loading.changes = [];
        if (changes.some((isIn) => isIn(record))) continue;
      }
      if (record === undefined) {
        this.#known.delete(digest);
        this.#unknown.set(digest, askedAtMs);
        return undefined;
      }
      const known = this.#known.get(digest);
      const isSame = known !== undefined && isDeepStrictEqual(known.record, record);
      const entry = isSame ? known.entry : this.#options.ports.toEntry(record);
      const loadedAtMs = askedAtMs - this.#madeAtMs;
      this.#known.set({ digest, entry, record, loadedAtMs, refreshAtMs: 0, wasUsed: false, alike: undefined });
      return entry;
    }
  }
}

const toDigest = (keyHash: string): string => Buffer.from(keyHash, "hex").toString("latin1");
