import type { Tier } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";

export function toTier(row: typeof schema.tiers.$inferSelect): Tier {
  return {
    id: row.id,
    displayName: row.displayName,
    monthlyPriceMicros: row.monthlyPriceMicros,
    freeCallsPerMonth: row.freeCallsPerMonth,
    rateLimitPerSecond: row.rateLimitPerSecond,
    overage: row.overage,
    creditLimitMicros: row.creditLimitMicros,
    rollsOver: row.rollsOver,
  };
}
