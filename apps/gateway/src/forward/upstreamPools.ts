import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { UpstreamInstance } from "@tollgate/config";
import type { Dispatcher } from "undici";
import { Pool } from "undici";
import { UpstreamClient } from "./upstreamClient.ts";
import type { AnswerHandler, PlainRequest } from "./upstreamConnection.ts";
import { SWEEP_MS } from "./upstreamConnection.ts";

/**
 * Connections to upstream instances: a pool of keep-alive connections for each, the choice among an API's instances by
 * the power of two choices (of two at random, as often as their weights ask for, the one with fewer calls in flight for
 * its weight), and the setting aside of instances that fail, until a probe of ours finds that they answer again.
 */
export interface UpstreamRequest extends PlainRequest {
  readonly body: Readable | null;
  readonly upgrade: string | null;
}

/** Told what becomes of a request; with raw headers, which are text or bytes of it. */
export type UpstreamHandler = Omit<AnswerHandler, "onHeaders" | "onComplete"> & {
  onHeaders(status: number, headers: readonly (Buffer | string)[], resume: () => void, reason: string): boolean;
  onUpgrade(status: number, headers: readonly (Buffer | string)[], socket: Socket): void;
  onComplete(trailers: readonly (Buffer | string)[] | null): void;
};

export class UpstreamTarget {
  readonly url: string;
  readonly host: string;
  /** What comes before the endpoint's path. */
  readonly basePath: string;
  inFlight = 0;
  /** Set aside: calls go to others, if there are any. */
  isEjected = false;
  /** Answers below 500 while the instance is well; without one any answer will do. */
  healthPath: string | undefined;
  readonly #pool: Pool;
  readonly #client: UpstreamClient | undefined;
  #failures = 0;
  #ejections = 0;
  #probe: NodeJS.Timeout | undefined;

  constructor(url: string, connections: number, healthPath?: string) {
    const parsed = new URL(url);
    this.url = url;
    this.healthPath = healthPath;
    this.host = parsed.host;
    this.basePath = parsed.pathname.replace(/\/$/, "");
    this.#pool = new Pool(parsed.origin, {
      connections,
      pipelining: 1,
      connect: { timeout: 1_000, noDelay: true },
      keepAliveTimeout: 30_000,
      keepAliveMaxTimeout: 60_000,
      bodyTimeout: 300_000,
      headersTimeout: 300_000,
    });
    if (parsed.protocol === "http:") this.#client = new UpstreamClient(parsed, connections);
  }

  /** @returns whether the time for an answer is looked after; if not, the request may be waiting for a connection */
  dispatch(request: UpstreamRequest, handler: UpstreamHandler): boolean {
    const client = request.body === null && request.upgrade === null ? this.#client : undefined;
    if (client === undefined) {
      // Undici's older handlers get raw headers: made an object of, only to become an array again, they cost a tenth of a call.
      const older = handler as unknown as Dispatcher.DispatchHandler;
      return this.#pool.dispatch(request as Dispatcher.DispatchOptions, older);
    }
    client.dispatch(request, handler);
    return true;
  }

  sweep(): void {
    this.#client?.sweep();
  }

  succeeded(): void {
    this.#failures = 0;
    if (this.#ejections > 0) this.#restore();
  }

  /** Three failures in a row set an instance aside for a second, then two, and so on up to half a minute. */
  failed(): void {
    this.#failures += 1;
    if (this.#failures >= FAILURES_TO_EJECT && !this.isEjected) this.#eject();
  }

  /** @param isHard whether calls in flight are given up */
  async close(isHard: boolean): Promise<void> {
    clearTimeout(this.#probe);
    this.#client?.close(isHard);
    await (isHard ? this.#pool.destroy() : this.#pool.close());
  }

  #eject(): void {
    this.isEjected = true;
    const backoffMs = Math.min(EJECT_MS * 2 ** this.#ejections, EJECT_MAX_MS);
    this.#ejections += 1;
    this.#probe = setTimeout(() => void this.#ask(), backoffMs).unref();
  }

  /** Whether it answers again. One that does is on trial: its next failure sets it aside for longer. */
  async #ask(): Promise<void> {
    if (!this.isEjected) return;
    const path = this.basePath + (this.healthPath ?? "/");
    const headers = { "user-agent": "tollgate-probe" };
    try {
      const answer = await this.#pool.request({
        path,
        method: "GET",
        headers,
        headersTimeout: PROBE_MS,
        bodyTimeout: PROBE_MS,
      });
      await answer.body.dump();
      if (this.healthPath !== undefined && answer.statusCode >= 500) throw new Error("Not well");
      this.isEjected = false;
      this.#failures = FAILURES_TO_EJECT - 1;
    } catch {
      // Still away, or not well: that is what the probe wanted to know.
      if (!this.#pool.destroyed && !this.#pool.closed) this.#eject();
    }
  }

  #restore(): void {
    clearTimeout(this.#probe);
    this.isEjected = false;
    this.#ejections = 0;
  }
}

const FAILURES_TO_EJECT = 3;
const EJECT_MS = 1_000;
const EJECT_MAX_MS = 30_000;
const PROBE_MS = 1_000;
const SWEEPS_TO_FOLLOW = 10;

interface ApiTargets {
  readonly instances: readonly UpstreamInstance[];
  readonly staticUrls: readonly string[];
  readonly targets: readonly UpstreamTarget[];
  /** Of each target. An instance has one for each API that it serves. */
  readonly weights: readonly number[];
}

/** Of an instance that does not say, and of addresses that are fixed. */
const WEIGHT = 1;

/** What an instance says of itself when it registers: `metadata: { health: "/healthz" }`. */
const healthPathOf = (metadata: UpstreamInstance["metadata"]): string | undefined =>
  metadata["health"]?.startsWith("/") === true ? metadata["health"] : undefined;

const isFit = (target: UpstreamTarget, except: UpstreamTarget | undefined): boolean =>
  target !== except && !target.isEjected;

/**
 * The index of the target that a point falls on, where each of those that may be chosen is as long as its weight.
 * @param isAny whether all may be
 */
function pick(
  targets: readonly UpstreamTarget[],
  weights: readonly number[],
  point: number,
  isAny: boolean,
  except: UpstreamTarget | undefined,
): number {
  let rest = point;
  let last = 0;
  for (let index = 0; index < targets.length; index += 1) {
    if (!isAny && !isFit(targets[index] as UpstreamTarget, except)) continue;
    last = index;
    rest -= weights[index] as number;
    if (rest < 0) break;
  }
  // Sums of fractions may leave a rest behind the last one.
  return last;
}

export class UpstreamPools {
  readonly #connections: number;
  readonly #instancesOf: (api: string) => readonly UpstreamInstance[];
  readonly #staticUrlsOf: (api: string) => readonly string[] | undefined;
  readonly #targets = new Map<string, UpstreamTarget>();
  /** No API has them any more, and calls are still under way. */
  readonly #leaving = new Set<UpstreamTarget>();
  readonly #byApi = new Map<string, ApiTargets>();
  readonly #sweeping: NodeJS.Timeout;
  #sweeps = 0;

  constructor(options: {
    readonly connections: number;
    readonly instancesOf: (api: string) => readonly UpstreamInstance[];
    /** The fixed addresses of an API, or undefined if it is not sold any more. */
    readonly staticUrlsOf: (api: string) => readonly string[] | undefined;
  }) {
    this.#connections = options.connections;
    this.#instancesOf = options.instancesOf;
    this.#staticUrlsOf = options.staticUrlsOf;
    this.#sweeping = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** An instance for a call; another than `except` if there is one. */
  choose(api: string, staticUrls: readonly string[], except?: UpstreamTarget): UpstreamTarget | undefined {
    const { targets, weights } = this.#targetsOf(api, staticUrls);
    if (targets.length < 2) return targets[0];
    let healthyWeight = 0;
    let allWeight = 0;
    for (let index = 0; index < targets.length; index += 1) {
      const weight = weights[index] as number;
      allWeight += weight;
      if (isFit(targets[index] as UpstreamTarget, except)) healthyWeight += weight;
    }
    // When every instance is ejected, trying one is better than refusing all.
    const isAny = healthyWeight === 0;
    const total = isAny ? allWeight : healthyWeight;
    const first = pick(targets, weights, Math.random() * total, isAny, except);
    const second = pick(targets, weights, Math.random() * total, isAny, except);
    const one = targets[first] as UpstreamTarget;
    const other = targets[second] as UpstreamTarget;
    return one.inFlight * (weights[second] as number) <= other.inFlight * (weights[first] as number) ? one : other;
  }

  #sweep(): void {
    for (const target of this.#targets.values()) target.sweep();
    for (const target of this.#leaving) {
      target.sweep();
      if (target.inFlight === 0) this.#leaving.delete(target);
    }
    this.#sweeps += 1;
    if (this.#sweeps % SWEEPS_TO_FOLLOW === 0) this.#follow();
  }

  /** Takes note of instances that came and left, and of APIs that are not sold any more, although nobody calls them. */
  #follow(): void {
    let hasGone = false;
    for (const api of this.#byApi.keys()) {
      const staticUrls = this.#staticUrlsOf(api);
      if (staticUrls === undefined) hasGone = this.#byApi.delete(api);
      else this.#targetsOf(api, staticUrls);
    }
    if (hasGone) this.#dropUnused();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    await Promise.all([...this.#targets.values(), ...this.#leaving].map((target) => target.close(true)));
  }

  #targetsOf(api: string, staticUrls: readonly string[]): ApiTargets {
    const instances = this.#instancesOf(api);
    const known = this.#byApi.get(api);
    // Both arrays are replaced, never changed, when they change.
    if (known !== undefined && known.instances === instances && known.staticUrls === staticUrls) return known;
    const urls = new Map<string, Pick<UpstreamInstance, "weight" | "metadata">>(
      staticUrls.map((url) => [url, { weight: WEIGHT, metadata: {} }]),
    );
    for (const instance of instances) urls.set(instance.url, instance);
    const entry = {
      instances,
      staticUrls,
      targets: [...urls].map(([url, { metadata }]) => this.#target(url, healthPathOf(metadata))),
      weights: [...urls.values()].map(({ weight }) => weight),
    };
    this.#byApi.set(api, entry);
    this.#dropUnused();
    return entry;
  }

  #target(url: string, healthPath: string | undefined): UpstreamTarget {
    const existing = this.#targets.get(url);
    if (existing !== undefined) {
      existing.healthPath = healthPath;
      return existing;
    }
    const target = new UpstreamTarget(url, this.#connections, healthPath);
    this.#targets.set(url, target);
    return target;
  }

  /** Pools of instances that are gone are closed once their last call is over. */
  #dropUnused(): void {
    const used = new Set([...this.#byApi.values()].flatMap((entry) => entry.targets));
    for (const [url, target] of this.#targets) {
      if (used.has(target)) continue;
      this.#targets.delete(url);
      if (target.inFlight > 0) this.#leaving.add(target);
      void target.close(false);
    }
  }
}
