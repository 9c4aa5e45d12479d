import type { KeyRecord } from "./loadKeyRecord.ts";

/** What operators set about rates; see the table of settings. */
export interface RateSettings {
  readonly keyRateLimitPerSecond: number | null;
  readonly projectRateLimitPerSecond: number | null;
  readonly rateLimitBurstSeconds: number;
  readonly tierRateLimitBurstSeconds: number;
}

/** A rate limit that a call counts under: at most `perSecond` × `windowSeconds` calls in any window of that length. */
export interface RateLimitRule {
  /** What it is called in `RateLimit-Policy`. */
  readonly name: "key" | "project" | "tier";
  /** Under which calls are counted, everywhere. */
  readonly id: string;
  readonly perSecond: number;
  readonly windowSeconds: number;
}

/** The limits of a key's calls: its own, shared along a rotation, its project's, and the tier's over the whole account. */
export function rateLimitsOf(record: KeyRecord, settings: RateSettings): RateLimitRule[] {
  const { rootKeyId, project, billingAccount, tier } = record;
  const burst = settings.rateLimitBurstSeconds;
  const rules: RateLimitRule[] = [];
  const add = (name: RateLimitRule["name"], id: string, perSecond: number | null, windowSeconds: number): void => {
    // Windows of another length are counted apart: their slots are others.
    if (perSecond !== null) rules.push({ name, id: `${name}:${id}:${windowSeconds}`, perSecond, windowSeconds });
  };
  add("key", rootKeyId, record.rateLimitPerSecond ?? settings.keyRateLimitPerSecond, burst);
  add("project", project.id, settings.projectRateLimitPerSecond, burst);
  add("tier", billingAccount.id, tier.rateLimitPerSecond, settings.tierRateLimitBurstSeconds);
  return rules;
}
