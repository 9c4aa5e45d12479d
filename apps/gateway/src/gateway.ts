import type { Clock, Logger } from "@tollgate/kernel";
import type { BudgetPool } from "./budgets/budgetPool.ts";
import type { CatalogueCache } from "./catalogue/catalogueCache.ts";
import type { UpstreamPools } from "./forward/upstreamPools.ts";
import type { Caller, UpstreamToken } from "./identity/caller.ts";
import type { KeyCache } from "./identity/keyCache.ts";
import type { RateLimiter } from "./limits/rateLimiter.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { GatewaySettings } from "./settings.ts";
import type { SocketRegistry } from "./sockets/socketRegistry.ts";
import type { Spool } from "./spool/spool.ts";

/** What a call needs; made once by the app. */
export interface Gateway {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keys: KeyCache<Caller>;
  readonly catalogue: CatalogueCache;
  readonly budgets: BudgetPool;
  readonly rates: RateLimiter;
  readonly upstreams: UpstreamPools;
  readonly spool: Spool;
  readonly sockets: SocketRegistry;
  readonly metrics: GatewayMetrics;
  readonly settings: GatewaySettings;
  readonly holderId: () => string | undefined;
  readonly signUpstreamToken: (caller: Caller, api: string) => Promise<UpstreamToken>;
  readonly isDraining: () => boolean;
  /** How many proxies of ours stand in front. */
  readonly trustedProxyHops: number;
  /** How long a client may stand still, in milliseconds. */
  readonly stallMs: number;
}
