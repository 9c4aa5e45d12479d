import type { UpstreamInstance } from "@tollgate/config";
import { Pool } from "undici";

/**
 * Connections to upstream instances: a pool of keep-alive connections for each, the choice among an API's instances by
 * the power of two choices (of two at random, the one with fewer calls in flight), and the setting aside of instances
 * that fail, with one call at a time let through to see whether they are back.
 */
export class UpstreamTarget {
  readonly url: string;
  readonly host: string;
  /** What comes before the endpoint's path. */
  readonly basePath: string;
  readonly pool: Pool;
  inFlight = 0;
  #failures = 0;
  #ejectedUntilMs = 0;

  constructor(url: string, connections: number) {
    const parsed = new URL(url);
    this.url = url;
    this.host = parsed.host;
    this.basePath = parsed.pathname.replace(/\/$/, "");
    this.pool = new Pool(parsed.origin, {
      connections,
      pipelining: 1,
      connect: { timeout: 1_000, noDelay: true },
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      bodyTimeout: 300_000,
      headersTimeout: 300_000,
    });
  }

  /** Ejected, and not yet due for a trial. */
  isEjected(nowMs: number): boolean {
    return nowMs < this.#ejectedUntilMs;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Three failures in a row eject an instance for a second, then two, and so on up to half a minute. */
  failed(nowMs: number): void {
    this.#failures += 1;
    if (this.#failures < FAILURES_TO_EJECT) return;
    const backoffMs = Math.min(EJECT_MS * 2 ** (this.#failures - FAILURES_TO_EJECT), EJECT_MAX_MS);
    this.#ejectedUntilMs = nowMs + backoffMs;
  }
}

const FAILURES_TO_EJECT = 3;
const EJECT_MS = 1_000;
const EJECT_MAX_MS = 30_000;

interface ApiTargets {
  readonly instances: readonly UpstreamInstance[];
  readonly staticUrls: readonly string[];
  readonly targets: readonly UpstreamTarget[];
}

export class UpstreamPools {
  readonly #connections: number;
  readonly #instancesOf: (api: string) => readonly UpstreamInstance[];
  readonly #targets = new Map<string, UpstreamTarget>();
  readonly #byApi = new Map<string, ApiTargets>();

  constructor(options: { connections: number; instancesOf: (api: string) => readonly UpstreamInstance[] }) {
    this.#connections = options.connections;
    this.#instancesOf = options.instancesOf;
  }

  /** An instance for a call; another than `except` if there is one. */
  choose(
    api: string,
    staticUrls: readonly string[],
    nowMs: number,
    except?: UpstreamTarget,
  ): UpstreamTarget | undefined {
    const all = this.#targetsOf(api, staticUrls);
    if (all.length === 1) return all[0];
    const healthy = all.filter((target) => target !== except && !target.isEjected(nowMs));
    // When every instance is ejected, trying one is better than refusing all.
    const candidates = healthy.length > 0 ? healthy : all;
    const first = candidates[Math.floor(Math.random() * candidates.length)];
    const second = candidates[Math.floor(Math.random() * candidates.length)];
    if (first === undefined || second === undefined) return undefined;
    return first.inFlight <= second.inFlight ? first : second;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#targets.values()].map((target) => target.pool.destroy()));
  }

  #targetsOf(api: string, staticUrls: readonly string[]): readonly UpstreamTarget[] {
    const instances = this.#instancesOf(api);
    const known = this.#byApi.get(api);
    // Both arrays are replaced, never changed, when they change.
    if (known !== undefined && known.instances === instances && known.staticUrls === staticUrls) return known.targets;
    const urls = new Set([...instances.map((instance) => instance.url), ...staticUrls]);
    const targets = [...urls].map((url) => this.#target(url));
    this.#byApi.set(api, { instances, staticUrls, targets });
    this.#dropUnused();
    return targets;
  }

  #target(url: string): UpstreamTarget {
    const existing = this.#targets.get(url);
    if (existing !== undefined) return existing;
    const target = new UpstreamTarget(url, this.#connections);
    this.#targets.set(url, target);
    return target;
  }

  /** Pools of instances that are gone are closed once their last call is over. */
  #dropUnused(): void {
    const used = new Set([...this.#byApi.values()].flatMap((entry) => entry.targets));
    for (const [url, target] of this.#targets) {
      if (used.has(target)) continue;
      this.#targets.delete(url);
      void target.pool.close();
    }
  }
}
