import type { EtcdStore } from "@tollgate/config";
import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { toMicros } from "@tollgate/kernel";
import type { FixedSettings, ProductConfig } from "@tollgate/services";
import { openConfig } from "@tollgate/services/admin";
import type { RateSettings } from "@tollgate/services/keys";
import type { GatewayEnv } from "./env.ts";
import type { ShippingPace } from "./spool/shipperPorts.ts";

/** What operators set and calls are decided by. Each read gives what is in force at that moment. */
export interface GatewaySettings extends RateSettings {
  /** Whether the values are more than a guess; no call is decided on guesses. */
  readonly isKnown: boolean;
  /** Every call is refused. */
  readonly maintenance: boolean;
  /** Micros that a free call costs when the month's free calls are used up. */
  readonly freeCallOverCapPriceMicros: number;
}

/** The settings of a gateway, with what its environment says until somebody sets another value. */
export function openGatewayConfig(options: {
  readonly env: GatewayEnv;
  readonly store: EtcdStore;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): ProductConfig {
  const { env, ...rest } = options;
  return openConfig({
    ...rest,
    defaults: {
      logLevel: env.LOG_LEVEL,
      leaseSliceSeconds: env.GATEWAY_SLICE_SECONDS,
      freeCallOverCapPriceMicros: toMicros(BigInt(env.FREE_CALL_OVER_CAP_PRICE_MICROS)),
    },
  });
}

export function gatewaySettings(config: ProductConfig): GatewaySettings {
  return {
    get isKnown() {
      return config.isKnown;
    },
    get maintenance() {
      return config.get("maintenance");
    },
    get freeCallOverCapPriceMicros() {
      return Number(config.get("freeCallOverCapPriceMicros"));
    },
    get keyRateLimitPerSecond() {
      return config.get("keyRateLimitPerSecond");
    },
    get projectRateLimitPerSecond() {
      return config.get("projectRateLimitPerSecond");
    },
    get rateLimitBurstSeconds() {
      return config.get("rateLimitBurstSeconds");
    },
    get tierRateLimitBurstSeconds() {
      return config.get("tierRateLimitBurstSeconds");
    },
  };
}

export function shippingPace(config: ProductConfig): ShippingPace {
  return {
    get batchCallsMax() {
      return config.get("meteringBatchCalls");
    },
    get gatherMs() {
      return config.get("meteringShipIntervalMs");
    },
  };
}

export const fixedSettingsOf = (env: GatewayEnv): FixedSettings => ({
  masterSecret: env.TOLLGATE_SECRET,
  publicApiUrl: env.PUBLIC_API_URL,
  publicGatewayUrl: env.PUBLIC_API_URL,
  publicWebUrl: env.PUBLIC_API_URL,
});
