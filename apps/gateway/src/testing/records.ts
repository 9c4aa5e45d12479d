import type { KeyRecord } from "@tollgate/services/keys";

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
