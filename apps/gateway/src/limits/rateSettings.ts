import type { RateSettings } from "@tollgate/services/keys";

const RATE_SETTINGS = [
  "keyRateLimitPerSecond",
  "projectRateLimitPerSecond",
  "rateLimitBurstSeconds",
  "tierRateLimitBurstSeconds",
] as const satisfies readonly (keyof RateSettings)[];

export const isSameRates = (one: RateSettings, other: RateSettings): boolean =>
  RATE_SETTINGS.every((name) => one[name] === other[name]);

/** A copy, because the settings themselves change in place. */
export const pickRates = (settings: RateSettings): RateSettings => ({
  keyRateLimitPerSecond: settings.keyRateLimitPerSecond,
  projectRateLimitPerSecond: settings.projectRateLimitPerSecond,
  rateLimitBurstSeconds: settings.rateLimitBurstSeconds,
  tierRateLimitBurstSeconds: settings.tierRateLimitBurstSeconds,
});
