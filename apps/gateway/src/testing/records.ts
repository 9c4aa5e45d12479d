import { SETTINGS } from "@tollgate/config";
import { delay, silentLogger } from "@tollgate/kernel";
import type { KeyRecord, RateSettings } from "@tollgate/services/keys";
import type { CallLimits } from "../limits/callLimits.ts";
import { RateLimiter } from "../limits/rateLimiter.ts";

/** What is in force while nobody has set anything. */
export const RATE_DEFAULTS: RateSettings = {
  keyRateLimitPerSecond: SETTINGS.keyRateLimitPerSecond.default,
  projectRateLimitPerSecond: SETTINGS.projectRateLimitPerSecond.default,
  rateLimitBurstSeconds: SETTINGS.rateLimitBurstSeconds.default,
  tierRateLimitBurstSeconds: SETTINGS.tierRateLimitBurstSeconds.default,
};

/** A key's record as the database would give it: a live key of an account in UTC, without limits. */
export function keyRecord(changes: Partial<KeyRecord> = {}): KeyRecord {
  return {
    keyId: "key_1",
    rootKeyId: "key_1",
    mode: "live",
    status: "active",
    blockedMessage: null,
    scopes: ["*"],
    allowedCidrs: null,
    rateLimitPerSecond: null,
    monthlySpendCapMicros: null,
    expiresAtMs: null,
    project: { id: "prj_1", isDeleted: false, monthlySpendCapMicros: null },
    billingAccount: { id: "ba_1", timeZone: "UTC" },
    tier: { id: "free", freeCallsPerMonth: 0, rateLimitPerSecond: 1_000, overage: "block" },
    ...changes,
  };
}

const notHere = (): Promise<never> => Promise.reject(new Error("Not here"));

/** Limits for callers that are not asked for any. */
export const idleLimits = (record = keyRecord()): CallLimits =>
  new RateLimiter({
    store: { ask: notHere, beat: notHere, leave: notHere },
    name: "gw_1",
    settings: () => RATE_DEFAULTS,
    logger: silentLogger,
    limitsMax: 1_000,
    tick: () => performance.now(),
    countOthers: async () => 0,
    delay,
  }).limitsOf(record);
