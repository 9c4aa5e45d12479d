import type { DbContext } from "@tollgate/db";
import { retryRead } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { parseMicros } from "@tollgate/kernel";

/**
 * Everything the gateway must know of a key to decide a call: the key, its project, the account that pays and its tier.
 * It is what the truth was at one instant; the gateway keeps it until an event or the cache's age says otherwise.
 */
export interface KeyRecord {
  readonly keyId: string;
  /** The first key of the rotation chain: limits and caps count under it, so a rotated pair shares them. */
  readonly rootKeyId: string;
  readonly mode: "live" | "test";
  readonly status: "active" | "blocked" | "revoked";
  /** What the caller of a blocked key is told. */
  readonly blockedMessage: string | null;
  /** API names in lower case, or `*`. */
  readonly scopes: readonly string[];
  /** Networks in CIDR notation that may use the key; null for all. */
  readonly allowedCidrs: readonly string[] | null;
  /** Null: the tier's limit alone. */
  readonly rateLimitPerSecond: number | null;
  readonly monthlySpendCapMicros: Micros | null;
  /** Milliseconds since the epoch; null for never. */
  readonly expiresAtMs: number | null;
  readonly project: {
    readonly id: string;
    readonly isDeleted: boolean;
    readonly monthlySpendCapMicros: Micros | null;
  };
  readonly billingAccount: {
    readonly id: string;
    /** IANA name; months of quotas and caps begin at its midnight. */
    readonly timeZone: string;
  };
  readonly tier: {
    readonly id: string;
    readonly freeCallsPerMonth: number;
    readonly rateLimitPerSecond: number;
    readonly overage: "block" | "invoice";
  };
}

// The driver gives 64-bit integers as text.
interface Row {
  key_id: string;
  root_key_id: string;
  mode: KeyRecord["mode"];
  status: KeyRecord["status"];
  blocked_message: string | null;
  scopes: string[];
  allowed_cidrs: string[] | null;
  rate_limit_per_second: number | null;
  key_cap: string | null;
  expires_at: Date | null;
  project_id: string;
  is_project_deleted: boolean;
  project_cap: string | null;
  billing_account_id: string;
  time_zone: string;
  tier_id: string;
  free_calls_per_month: string;
  tier_rate_limit: number;
  overage: KeyRecord["tier"]["overage"];
}

// A caller is waiting: better to answer that the database is away than to try for seconds.
const ATTEMPTS_MAX = 4;

/**
 * The record of the key with a hash ({@link hashKey}), in one statement that the driver prepares once a connection;
 * undefined if there is no such key. Revoked, blocked and expired keys are found: the caller decides what to answer.
 * @throws TollgateError UNAVAILABLE `database_unavailable`
 */
export async function loadKeyRecord({
  ctx,
  input,
}: {
  ctx: Pick<DbContext, "database">;
  input: { readonly hash: string };
}): Promise<KeyRecord | undefined> {
  const [row] = await retryRead(
    () => ctx.database.sql<Row[]>`
      select k.id as key_id, k.root_key_id, k.mode, k.status, k.blocked_message, k.scopes, k.allowed_cidrs,
             k.rate_limit_per_second, k.monthly_spend_cap_micros as key_cap, k.expires_at,
             p.id as project_id, p.deleted_at is not null as is_project_deleted, p.monthly_spend_cap_micros as project_cap,
             b.id as billing_account_id, b.time_zone,
             t.id as tier_id, t.free_calls_per_month, t.rate_limit_per_second as tier_rate_limit, t.overage
      from keys k
      join projects p on p.id = k.project_id
      join billing_accounts b on b.id = p.billing_account_id
      join tiers t on t.id = b.tier_id
      where k.hash = ${input.hash}`,
    ATTEMPTS_MAX,
  );
  return row === undefined ? undefined : toRecord(row);
}

function toRecord(row: Row): KeyRecord {
  return {
    keyId: row.key_id,
    rootKeyId: row.root_key_id,
    mode: row.mode,
    status: row.status,
    blockedMessage: row.blocked_message,
    scopes: row.scopes,
    allowedCidrs: row.allowed_cidrs,
    rateLimitPerSecond: toNumber(row.rate_limit_per_second),
    monthlySpendCapMicros: row.key_cap === null ? null : parseMicros(row.key_cap),
    expiresAtMs: row.expires_at === null ? null : row.expires_at.getTime(),
    project: {
      id: row.project_id,
      isDeleted: row.is_project_deleted,
      monthlySpendCapMicros: row.project_cap === null ? null : parseMicros(row.project_cap),
    },
    billingAccount: { id: row.billing_account_id, timeZone: row.time_zone },
    tier: {
      id: row.tier_id,
      freeCallsPerMonth: Number(row.free_calls_per_month),
      rateLimitPerSecond: Number(row.tier_rate_limit),
      overage: row.overage,
    },
  };
}

/** CockroachDB's integers are all 64 bits wide and come as text; PostgreSQL's 32-bit ones come as numbers. */
function toNumber(value: number | string | null): number | null {
  return value === null ? null : Number(value);
}
