import type { Key } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { badRequest, monthPeriod, notFound, TollgateError, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, eq, gte, inArray, sql } from "drizzle-orm";
import ipaddr from "ipaddr.js";
import type { ServiceContext } from "../context.ts";
import type { ProjectPermission, ProjectRow } from "../permissions.ts";
import { requireMember } from "../permissions.ts";

const { billingAccounts, keyActivity, keys, usageHourly } = schema;
export type KeyRow = typeof keys.$inferSelect;

/** What every event of a key carries: enough to find it in a cache without asking the database. */
export const keyEventData = (key: KeyRow) =>
  ({ keyId: key.id, projectId: key.projectId, keyHash: key.hash }) satisfies Record<string, string>;

/**
 * The key and its project, if the caller's role in the project suffices. A key of a project that the caller is not in is
 * as if it were not there. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function requireKey(
  ctx: ServiceContext,
  keyId: string,
  permission: ProjectPermission,
): Promise<{ readonly key: KeyRow; readonly project: ProjectRow }> {
  const [key] = await ctx.db.select().from(keys).where(eq(keys.id, keyId));
  try {
    // Asked also for a key that is not there, so that a caller without a login learns just that.
    const project = await requireMember(ctx, key?.projectId ?? "", permission);
    if (key === undefined) throw notFound("key");
    return { key, project };
  } catch (error) {
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("key");
    throw error;
  }
}

/** Scopes as they are kept: no repetition, and nothing beside `*`. */
export function normaliseScopes(scopes: readonly string[]): string[] {
  return scopes.includes("*") ? ["*"] : [...new Set(scopes)];
}

/**
 * Networks as they are kept: CIDR notation with the address in its shortest form; a single address becomes the network
 * of just itself. @throws TollgateError BAD_REQUEST that names the entry
 */
export function normaliseCidrs(cidrs: readonly string[]): string[] {
  const networks = cidrs.map((text, index) => {
    const network = parseNetwork(text);
    if (network === undefined) throw invalid(`allowedCidrs.${index}`, "Must be an IPv4 or IPv6 address or network");
    return network;
  });
  return [...new Set(networks)];
}

function parseNetwork(text: string): string | undefined {
  if (ipaddr.isValidCIDR(text)) {
    const [address, bits] = ipaddr.parseCIDR(text);
    return `${address.toString()}/${bits}`;
  }
  // The library also takes "1" and "0x7f.1" for IPv4 addresses; a person who types that has mistyped.
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.parse(text);
  return `${address.toString()}/${address.kind() === "ipv4" ? 32 : 128}`;
}

/** @throws TollgateError BAD_REQUEST for an expiry that has passed */
export function assertFuture(ctx: ServiceContext, expiresAt: Date | null | undefined): void {
  if (expiresAt instanceof Date && expiresAt.getTime() <= ctx.clock.nowMs()) {
    throw invalid("expiresAt", "Must be in the future");
  }
}

export function invalid(path: string, message: string): TollgateError {
  return badRequest(`${path}: ${message}`, { issues: [{ path, message }] });
}

/** Expiry is an instant, so a key expires without anybody writing it down. */
export function statusAt(key: KeyRow, nowMs: number): Key["status"] {
  const hasExpired = key.expiresAt !== null && key.expiresAt.getTime() <= nowMs;
  return key.status === "active" && hasExpired ? "expired" : key.status;
}

/** Keys as members see them: with their last use, and this month's calls and spend (in the payer's time zone). */
export async function toKeys(ctx: ServiceContext, project: ProjectRow, rows: readonly KeyRow[]): Promise<Key[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const usage = await monthToDate(ctx, project, ids);
  const activity = await ctx.db.select().from(keyActivity).where(inArray(keyActivity.keyId, ids));
  const lastUsed = new Map(activity.map((row) => [row.keyId, row.lastUsedAt]));
  const nowMs = ctx.clock.nowMs();
  return rows.map((row) => ({
    id: row.id,
    projectId: row.projectId,
    name: row.name,
    start: row.start,
    mode: row.mode,
    status: statusAt(row, nowMs),
    blockedMessage: row.blockedMessage,
    scopes: row.scopes,
    allowedCidrs: row.allowedCidrs,
    rateLimitPerSecond: row.rateLimitPerSecond,
    monthlySpendCapMicros: row.monthlySpendCapMicros,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    lastUsedAt: lastUsed.get(row.id) ?? null,
    monthToDateCalls: usage.get(row.id)?.calls ?? 0,
    monthToDateMicros: usage.get(row.id)?.chargedMicros ?? ZERO_MICROS,
  }));
}

/** One key as its members see it. */
export async function toKey(ctx: ServiceContext, project: ProjectRow, row: KeyRow): Promise<Key> {
  const [key] = await toKeys(ctx, project, [row]);
  if (key === undefined) throw new Error(`The key ${row.id} has no answer`);
  return key;
}

async function monthToDate(
  ctx: ServiceContext,
  project: ProjectRow,
  keyIds: readonly string[],
): Promise<Map<string, { readonly calls: number; readonly chargedMicros: Micros }>> {
  const [account] = await ctx.db
    .select({ timeZone: billingAccounts.timeZone })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, project.billingAccountId));
  const month = monthPeriod(ctx.clock.nowMs(), account?.timeZone ?? "UTC");
  const sums = await ctx.db
    .select({
      keyId: usageHourly.keyId,
      calls: sql<string>`sum(${usageHourly.calls})`,
      chargedMicros: sql<string>`sum(${usageHourly.chargedMicros})`,
    })
    .from(usageHourly)
    .where(
      and(
        eq(usageHourly.projectId, project.id),
        gte(usageHourly.hour, new Date(month.startMs)),
        inArray(usageHourly.keyId, [...keyIds]),
      ),
    )
    .groupBy(usageHourly.keyId);
  return new Map(
    sums.map((row) => [row.keyId, { calls: Number(row.calls), chargedMicros: toMicros(BigInt(row.chargedMicros)) }]),
  );
}
