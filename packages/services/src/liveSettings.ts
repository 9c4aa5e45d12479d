import type { DynamicConfig } from "@tollgate/config";
import { SETTINGS } from "@tollgate/config";
import { unavailable } from "@tollgate/kernel";
import type { FixedSettings, ServiceSettings } from "./context.ts";
import type { RateSettings } from "./keys/rateLimitsOf.ts";

/** The product's settings in this process. */
export type ProductConfig = DynamicConfig<typeof SETTINGS>;

/** Settings that operators change while everything runs. */
export interface LiveSettings extends RateSettings {
  /** Micros of promotional credit for each newly verified address; 0 for none. */
  readonly signupPromoMicros: bigint;
  /** Micros that a free endpoint's call costs when the month's free calls are used up. */
  readonly freeCallOverCapPriceMicros: bigint;
  /** Share of a subscription payment that is kept, 0 to 1; `creditShare` makes exact arithmetic of it. */
  readonly margin: number;
  /** Balance below which an account without a threshold of its own is told that it runs low. */
  readonly lowBalanceMicros: bigint;
  /** Changes are refused, but for those of operators. */
  readonly maintenance: boolean;
}

/** What is in force while nobody has set anything. */
export const LIVE_SETTING_DEFAULTS: LiveSettings = {
  signupPromoMicros: SETTINGS.signupPromoMicros.default,
  freeCallOverCapPriceMicros: SETTINGS.freeCallOverCapPriceMicros.default,
  margin: SETTINGS.margin.default,
  lowBalanceMicros: SETTINGS.lowBalanceMicros.default,
  maintenance: SETTINGS.maintenance.default,
  keyRateLimitPerSecond: SETTINGS.keyRateLimitPerSecond.default,
  projectRateLimitPerSecond: SETTINGS.projectRateLimitPerSecond.default,
  rateLimitBurstSeconds: SETTINGS.rateLimitBurstSeconds.default,
  tierRateLimitBurstSeconds: SETTINGS.tierRateLimitBurstSeconds.default,
};

/**
 * The settings of a process: each read of one that may change gives what is in force at that moment. Money is not decided
 * by a guess: while nothing is known of the settings, a read throws UNAVAILABLE `settings_unknown`.
 */
export function settingsFrom(fixed: FixedSettings, config: ProductConfig): ServiceSettings {
  const read = <Name extends keyof LiveSettings>(name: Name) => {
    if (!config.isKnown) throw unavailable("The settings cannot be read", { reason: "settings_unknown" });
    return config.get(name);
  };
  return {
    ...fixed,
    get signupPromoMicros() {
      return read("signupPromoMicros");
    },
    get freeCallOverCapPriceMicros() {
      return read("freeCallOverCapPriceMicros");
    },
    get margin() {
      return read("margin");
    },
    get lowBalanceMicros() {
      return read("lowBalanceMicros");
    },
    get maintenance() {
      return config.get("maintenance");
    },
    get keyRateLimitPerSecond() {
      return read("keyRateLimitPerSecond");
    },
    get projectRateLimitPerSecond() {
      return read("projectRateLimitPerSecond");
    },
    get rateLimitBurstSeconds() {
      return read("rateLimitBurstSeconds");
    },
    get tierRateLimitBurstSeconds() {
      return read("tierRateLimitBurstSeconds");
    },
  };
}
