import type { Call, EndpointQuota, Quota, UsageSums } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { Period } from "@tollgate/kernel";
import { monthPeriod, notFound, sumMicros, toMicros } from "@tollgate/kernel";
import { and, eq, inArray, sql } from "drizzle-orm";
import { endpointFreeBudgetId, tierFreeBudgetId } from "../budgets/budgetIds.ts";
import type { ServiceContext } from "../context.ts";
import type { ProjectRow } from "../permissions.ts";

/** What the readings of usage share. */
const { apis, billingAccounts, budgets, calls, endpoints, tiers } = schema;

/** Raw calls are kept, and shown, this long. */
export const CALLS_KEPT_MS = 30 * 86_400_000;

/**
 * Whether the upstream served a call of this status: it answered, and below 500. 499 is what a gateway notes of a call
 * whose client was gone before there was an answer.
 */
export const isServed = sql.raw("status < 500 and status <> 499");

export interface Payer {
  readonly billingAccountId: string;
  readonly timeZone: string;
  readonly freeCallsPerMonth: number;
  /** The month we are in, where the account is. */
  readonly month: Period;
}

/** Who pays for a project, and in whose months its quotas are counted. */
export async function readPayer(ctx: ServiceContext, project: ProjectRow): Promise<Payer> {
  const [row] = await ctx.db
    .select({ timeZone: billingAccounts.timeZone, freeCallsPerMonth: tiers.freeCallsPerMonth })
    .from(billingAccounts)
    .innerJoin(tiers, eq(tiers.id, billingAccounts.tierId))
    .where(eq(billingAccounts.id, project.billingAccountId));
  if (row === undefined) throw notFound("billing account");
  return {
    ...row,
    billingAccountId: project.billingAccountId,
    month: monthPeriod(ctx.clock.nowMs(), row.timeZone),
  };
}

export interface NamedEndpoint {
  readonly id: string;
  readonly api: string;
  readonly endpoint: string;
  readonly freePerMonth: number;
}

export const namedEndpointColumns = {
  id: endpoints.id,
  api: apis.name,
  endpoint: endpoints.name,
  freePerMonth: endpoints.freePerMonth,
};

export async function readNamedEndpoints(
  ctx: ServiceContext,
  ids: readonly string[],
): Promise<Map<string, NamedEndpoint>> {
  if (ids.length === 0) return new Map();
  const rows = await ctx.db
    .select(namedEndpointColumns)
    .from(endpoints)
    .innerJoin(apis, eq(apis.id, endpoints.apiId))
    .where(inArray(endpoints.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

/** The tier's free calls of this month. */
export async function readTierQuota(ctx: ServiceContext, payer: Payer): Promise<Quota> {
  const [row] = await ctx.db
    .select()
    .from(budgets)
    .where(eq(budgets.id, tierFreeBudgetId(payer.billingAccountId, payer.month.id)));
  return toQuota(payer, payer.freeCallsPerMonth, row);
}

/** The free calls of some endpoints in this month. */
export async function readEndpointQuotas(
  ctx: ServiceContext,
  payer: Payer,
  wanted: readonly NamedEndpoint[],
): Promise<EndpointQuota[]> {
  const idOf = (endpoint: NamedEndpoint) => endpointFreeBudgetId(payer.billingAccountId, endpoint.id, payer.month.id);
  if (wanted.length === 0) return [];
  const rows = await ctx.db
    .select()
    .from(budgets)
    .where(inArray(budgets.id, wanted.map(idOf)));
  const byId = new Map(rows.map((row) => [row.id, row]));
  return wanted.map((endpoint) => ({
    endpointId: endpoint.id,
    api: endpoint.api,
    endpoint: endpoint.endpoint,
    ...toQuota(payer, endpoint.freePerMonth, byId.get(idOf(endpoint))),
  }));
}

function toQuota(payer: Payer, limit: number, row: typeof budgets.$inferSelect | undefined): Quota {
  const used = Number(row?.used ?? 0n);
  const held = Number(row?.held ?? 0n);
  return { used, held, limit, remaining: Math.max(0, limit - used - held), resetsAt: new Date(payer.month.endMs) };
}

export interface SumRow {
  readonly calls: string;
  readonly failures: string;
  readonly units: string;
  readonly charged: string;
  readonly [column: string]: unknown;
}

/** Sums as the database gives them: decimal text. */
export function toSums(row: SumRow): UsageSums {
  return {
    calls: Number(row.calls),
    failures: Number(row.failures),
    units: Number(row.units),
    chargedMicros: toMicros(BigInt(row.charged)),
  };
}

export function addSums(all: readonly UsageSums[]): UsageSums {
  const total = (of: (sums: UsageSums) => number): number => all.reduce((sum, each) => sum + of(each), 0);
  return {
    calls: total((each) => each.calls),
    failures: total((each) => each.failures),
    units: total((each) => each.units),
    chargedMicros: sumMicros(all.map((each) => each.chargedMicros)),
  };
}

export type CallRow = typeof calls.$inferSelect;

export function toCall(row: CallRow, named: NamedEndpoint | undefined): Call {
  const { id, startedAt, keyId, endpointId, mode, outcome, status, latencyMs, units } = row;
  const { unitPriceMicros, chargedMicros, requestBytes, responseBytes } = row;
  return {
    id,
    startedAt,
    keyId,
    endpointId,
    api: named?.api ?? null,
    endpoint: named?.endpoint ?? null,
    mode,
    outcome,
    status,
    latencyMs,
    units,
    unitPriceMicros,
    chargedMicros,
    requestBytes,
    responseBytes,
  };
}

/** The live endpoints that have a budget of their own this month: those whose free calls were asked for. */
export async function findQuotaEndpoints(ctx: ServiceContext, payer: Payer): Promise<NamedEndpoint[]> {
  const rows = await ctx.db
    .select({ id: budgets.id })
    .from(budgets)
    .where(and(eq(budgets.billingAccountId, payer.billingAccountId), eq(budgets.kind, "endpoint_free")));
  const ids = rows
    .map((row) => row.id.split(":"))
    .flatMap(([, , endpointId, month]) => (month === payer.month.id && endpointId !== undefined ? [endpointId] : []));
  const named = [...(await readNamedEndpoints(ctx, ids)).values()];
  return named.sort((a, b) => (a.api === b.api ? compare(a.endpoint, b.endpoint) : compare(a.api, b.api)));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
