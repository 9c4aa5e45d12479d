import type { Clock, Logger } from "@tollgate/kernel";
import { z } from "zod";
import { monotonicMs } from "./clock.ts";
import type { EtcdStore, PrefixWatch, StoredEntry, StoreStatus } from "./store.ts";

/**
 * Which running instances serve which API, in memory. Upstreams write `/tollgate/upstreams/<api>/<instance>` under a
 * lease; every gateway watches the prefix and asks only its memory on the path of a call.
 *
 * While etcd is away the last known instances stay. After a reconnect there is one more thing to survive: an etcd that
 * lost its leases or its data shows no upstreams for the second they need to register again. So for a grace period after
 * a reconnect an API whose *last* instance disappears keeps it until a new one registers or the grace is over. An API
 * that still has an instance loses the others at once.
 */
export const UPSTREAMS_PREFIX = "/tollgate/upstreams/";
const DEFAULT_RECONNECT_GRACE_MS = 15_000;

const upstreamValueSchema = z.object({
  url: z.url({ protocol: /^https?$/ }),
  weight: z.number().positive().max(1_000_000).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});

/** What an upstream writes about itself. */
export type UpstreamValue = z.input<typeof upstreamValueSchema>;

export interface UpstreamInstance {
  readonly id: string;
  /** Base address, without a trailing slash. */
  readonly url: string;
  /** Share of the traffic relative to the API's other instances; 1 unless the upstream says otherwise. */
  readonly weight: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Told the new instances of an API whenever they change. */
export type UpstreamListener = (api: string, instances: readonly UpstreamInstance[]) => void;

export interface UpstreamRegistryStatus extends StoreStatus {
  /** APIs whose instances are kept although etcd no longer lists them. */
  readonly heldApis: readonly string[];
}

export interface UpstreamRegistryOptions {
  readonly store: EtcdStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long after a reconnect an API keeps its last instances; 15 s by default. */
  readonly reconnectGraceMs?: number;
}

const NO_INSTANCES: readonly UpstreamInstance[] = Object.freeze([]);

/** The key of one instance. @throws RangeError if a part is empty or contains anything but letters, digits, `.`, `_`, `-` */
export function upstreamKey(api: string, instance: string): string {
  for (const part of [api, instance]) {
    if (!/^[A-Za-z0-9._-]{1,128}$/.test(part)) throw new RangeError(`Not usable in an upstream's key: ${part}`);
  }
  return `${UPSTREAMS_PREFIX}${api}/${instance}`;
}

export class UpstreamRegistry {
  readonly #logger: Logger;
  readonly #graceMs: number;
  readonly #watch: PrefixWatch;
  /** What etcd lists, by API and instance. */
  readonly #listed = new Map<string, Map<string, UpstreamInstance>>();
  /** What callers see: frozen arrays, replaced as a whole. */
  readonly #visible = new Map<string, readonly UpstreamInstance[]>();
  readonly #held = new Set<string>();
  readonly #listeners = new Set<UpstreamListener>();
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(options: UpstreamRegistryOptions) {
    this.#logger = options.logger;
    this.#graceMs = options.reconnectGraceMs ?? DEFAULT_RECONNECT_GRACE_MS;
    this.#watch = options.store.watchPrefix(UPSTREAMS_PREFIX, {
      onState: (entries, { isReconnect }) => this.#replaceAll(entries, isReconnect),
      onPut: (entry) => this.#put(entry),
      onDelete: (key) => this.#delete(key),
    });
  }

  /** The live instances of an API; the array is never changed, and is the same object until the instances change. */
  instances(api: string): readonly UpstreamInstance[] {
    return this.#visible.get(api) ?? NO_INSTANCES;
  }

  /** Names of the APIs that have an instance. */
  apis(): readonly string[] {
    return [...this.#visible.keys()];
  }

  status(): UpstreamRegistryStatus {
    return { ...this.#watch.status(), heldApis: [...this.#held] };
  }

  waitUntilSynced(timeoutMs: number): Promise<boolean> {
    return this.#watch.waitUntilSynced(timeoutMs);
  }

  /** Returns the function that stops the listener. */
  onChange(listener: UpstreamListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearTimeout(this.#graceTimer);
    this.#watch.close();
    this.#listeners.clear();
  }

  #replaceAll(entries: readonly StoredEntry[], isReconnect: boolean): void {
    if (isReconnect) this.#startGrace();
    const previousApis = [...this.#listed.keys()];
    this.#listed.clear();
    for (const entry of entries) this.#list(entry);
    for (const api of new Set([...previousApis, ...this.#held, ...this.#listed.keys()])) this.#publish(api);
  }

  #put(entry: StoredEntry): void {
    const api = this.#list(entry);
    if (api !== undefined) this.#publish(api);
  }

  #delete(key: string): void {
    const name = parseKey(key);
    if (name === undefined) return;
    if (this.#unlist(name.api, name.id)) this.#publish(name.api);
  }

  /** Takes an entry into the list of what etcd says; returns the API if its instances may have changed. */
  #list(entry: StoredEntry): string | undefined {
    const name = parseKey(entry.key);
    const value = name === undefined ? undefined : parseValue(entry.value);
    if (name === undefined || value === undefined) {
      this.#logger.warn(
        { upstream: entry.key },
        "Ignored an upstream that is not valid: it needs an http(s) url in JSON",
      );
      // An instance that turned invalid is no longer one.
      return name !== undefined && this.#unlist(name.api, name.id) ? name.api : undefined;
    }
    const instances = this.#listed.get(name.api) ?? new Map<string, UpstreamInstance>();
    instances.set(name.id, { id: name.id, ...value });
    this.#listed.set(name.api, instances);
    return name.api;
  }

  #unlist(api: string, id: string): boolean {
    const instances = this.#listed.get(api);
    const wasListed = instances?.delete(id) ?? false;
    if (instances?.size === 0) this.#listed.delete(api);
    return wasListed;
  }

  /** Makes what is listed visible, unless it is nothing and the grace says to keep what there was. */
  #publish(api: string): void {
    const listed = this.#listed.get(api);
    if (listed === undefined) {
      if (monotonicMs() < this.#graceUntilMs && this.#visible.has(api)) {
        if (!this.#held.has(api))
          this.#logger.warn({ api }, "No instance is registered after a reconnect; keeping the last known for a while");
        this.#held.add(api);
        return;
      }
      this.#held.delete(api);
      if (this.#visible.delete(api)) this.#announce(api, NO_INSTANCES);
      return;
    }
    this.#held.delete(api);
    const next = Object.freeze([...listed.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
    if (isSame(this.#visible.get(api) ?? NO_INSTANCES, next)) return;
    this.#visible.set(api, next);
    this.#announce(api, next);
  }

  #startGrace(): void {
    clearTimeout(this.#graceTimer);
    this.#graceUntilMs = monotonicMs() + this.#graceMs;
    this.#graceTimer = setTimeout(() => this.#endGrace(), this.#graceMs);
    this.#graceTimer.unref();
  }

  #endGrace(): void {
    // Not before: during an outage there is no news, and no news must not empty the registry.
    if (!this.#watch.status().isHealthy) return;
    this.#graceUntilMs = Number.NEGATIVE_INFINITY;
    for (const api of [...this.#held]) this.#publish(api);
  }

  #announce(api: string, instances: readonly UpstreamInstance[]): void {
    this.#logger.info({ api, instances: instances.length }, "Upstream instances changed");
    for (const listener of this.#listeners) {
      try {
        listener(api, instances);
      } catch (error) {
        this.#logger.error({ err: error, api }, "A listener to upstream changes failed");
      }
    }
  }
}

function parseKey(key: string): { api: string; id: string } | undefined {
  const [api, id, ...rest] = key.slice(UPSTREAMS_PREFIX.length).split("/");
  return api === undefined || id === undefined || api === "" || id === "" || rest.length > 0 ? undefined : { api, id };
}

function parseValue(text: string): Omit<UpstreamInstance, "id"> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = upstreamValueSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { url, weight, metadata } = parsed.data;
  return { url: url.replace(/\/+$/, ""), weight: weight ?? 1, metadata: metadata ?? {} };
}

function isSame(a: readonly UpstreamInstance[], b: readonly UpstreamInstance[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
