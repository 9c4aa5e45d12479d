import type { Clock, Logger } from "@tollgate/kernel";
import type { CatalogueApi, CatalogueChanges, CatalogueEndpoint } from "@tollgate/services/catalog";
import type { UpstreamCredentials } from "../credentials/upstreamCredentials.ts";

/**
 * The whole catalogue in memory. When an event says that it changed, the APIs whose revision is another are loaded again;
 * and every few seconds it is looked at in case the event was lost. While the database is away the last one stays.
 */
export interface CataloguePorts {
  /** @param known revisions by the APIs' ids */
  loadChanges(known: ReadonlyMap<string, number>): Promise<CatalogueChanges>;
  /** Credentials of upstreams by the API's id. Asked for after the APIs, whose revisions move with them. */
  loadCredentials(apiIds: readonly string[]): Promise<ReadonlyMap<string, UpstreamCredentials>>;
  readVersion(): Promise<string>;
}

/** An endpoint as the path of a call needs it. */
export class RoutedEndpoint {
  readonly id: string;
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly freePerMonth: number;
  readonly unit: string;
  readonly unitsMax: number;
  readonly isChargedOn4xx: boolean;
  readonly timeoutMs: number;
  readonly bodyBytesMax: number;
  readonly isRetired: boolean;
  readonly hasPathParameters: boolean;
  /** Each message of a client over a WebSocket is a call. */
  readonly isMeteredByMessage: boolean;
  /** Priced by what is known only when the answer has ended. */
  readonly isMeasured: boolean;
  readonly #prices: CatalogueEndpoint["prices"];
  #price = 0;
  #priceUntilMs = Number.NEGATIVE_INFINITY;

  constructor(endpoint: CatalogueEndpoint) {
    this.id = endpoint.id;
    this.name = endpoint.name;
    this.method = endpoint.method;
    this.path = endpoint.path;
    this.freePerMonth = endpoint.freePerMonth;
    this.unit = endpoint.unit;
    this.unitsMax = endpoint.unitsMax;
    this.isChargedOn4xx = endpoint.isChargedOn4xx;
    this.timeoutMs = endpoint.timeoutMs;
    this.bodyBytesMax = endpoint.bodyBytesMax;
    this.isRetired = endpoint.retiredAt !== null;
    this.hasPathParameters = endpoint.path.includes("{");
    this.isMeteredByMessage = endpoint.meter === "message";
    this.isMeasured = endpoint.unit === "byte" || endpoint.unit === "millisecond";
    this.#prices = endpoint.prices;
    // Before its first version begins, an endpoint costs what that version says: never nothing by mistake.
    this.#price = Number(endpoint.prices[0]?.priceMicros ?? 0n);
  }

  /** Micros a unit at an instant. Prices change at known instants, so the present one is kept until the next. */
  unitPrice(nowMs: number): number {
    if (nowMs >= this.#priceUntilMs) this.#choosePrice(nowMs);
    return this.#price;
  }

  #choosePrice(nowMs: number): void {
    this.#priceUntilMs = Number.POSITIVE_INFINITY;
    for (const { effectiveFrom, priceMicros } of this.#prices) {
      if (effectiveFrom.getTime() > nowMs) {
        this.#priceUntilMs = effectiveFrom.getTime();
        return;
      }
      this.#price = Number(priceMicros);
    }
  }
}

export interface RoutedApi {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  readonly isRemoved: boolean;
  readonly upstreamUrls: readonly string[];
  /** What its upstream wants to be shown, if anything. */
  readonly credentials: UpstreamCredentials | undefined;
  /** `Deprecation` and `Sunset` (RFC 9745, RFC 8594) of a deprecated API. */
  readonly deprecationHeaders: readonly string[];
  readonly endpoints: ReadonlyMap<string, RoutedEndpoint>;
}

const VERSION_CHECK_MS = 3_000;

export class CatalogueCache {
  readonly #ports: CataloguePorts;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #apis: ReadonlyMap<string, RoutedApi> = new Map();
  #version: string | undefined;
  #loading: Promise<void> | undefined;
  #isStale = false;

  constructor(options: { ports: CataloguePorts; clock: Clock; logger: Logger }) {
    this.#ports = options.ports;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#timer = setInterval(() => void this.#check(), VERSION_CHECK_MS);
    this.#timer.unref();
  }

  get isLoaded(): boolean {
    return this.#version !== undefined;
  }

  /** An API by the name in the URL. */
  find(name: string): RoutedApi | undefined {
    return this.#apis.get(name);
  }

  /** Loads what has changed; several that ask at once share a load, and one that asks during a load gets the next. */
  refresh(): Promise<void> {
    if (this.#loading !== undefined) {
      this.#isStale = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #load(): Promise<void> {
    do {
      this.#isStale = false;
      const known = new Map([...this.#apis.values()].map(({ id, revision }) => [id, revision]));
      const changes = await this.#ports.loadChanges(known);
      const credentials = await this.#ports.loadCredentials(changes.changed.map((api) => api.id));
      this.#apply(changes, credentials);
    } while (this.#isStale);
    this.#logger.debug({ apis: this.#apis.size, at: this.#clock.nowMs() }, "catalogue loaded");
  }

  #apply({ version, changed, gone }: CatalogueChanges, credentials: ReadonlyMap<string, UpstreamCredentials>): void {
    const replaced = new Set([...gone, ...changed.map((api) => api.id)]);
    const kept = [...this.#apis.values()].filter((api) => !replaced.has(api.id));
    const fresh = changed.map((api) => toRoutedApi(api, credentials.get(api.id)));
    this.#apis = new Map([...kept, ...fresh].map((api) => [api.name, api]));
    this.#version = version;
  }

  async #check(): Promise<void> {
    try {
      if (this.#version === undefined || (await this.#ports.readVersion()) !== this.#version) await this.refresh();
    } catch (error) {
      this.#logger.warn({ err: error }, "the catalogue cannot be checked; the last one stays");
    }
  }
}

function toRoutedApi(api: CatalogueApi, credentials: UpstreamCredentials | undefined): RoutedApi {
  return {
    id: api.id,
    name: api.name,
    revision: api.revision,
    isRemoved: api.status === "removed",
    upstreamUrls: api.upstreamUrls,
    credentials,
    deprecationHeaders: deprecationHeaders(api),
    endpoints: new Map(api.endpoints.map((endpoint) => [endpoint.name, new RoutedEndpoint(endpoint)])),
  };
}

function deprecationHeaders(api: CatalogueApi): string[] {
  if (api.status !== "deprecated") return [];
  const headers: string[] = [];
  if (api.deprecatedAt !== null) headers.push("Deprecation", `@${Math.floor(api.deprecatedAt.getTime() / 1_000)}`);
  if (api.sunsetAt !== null) headers.push("Sunset", api.sunsetAt.toUTCString());
  return headers;
}
