import type { KeyVerdict, verifyKeyInput } from "@tollgate/contracts";
import { retryRead, schema } from "@tollgate/db";
import { dayPeriod, monthPeriod, toMicros } from "@tollgate/kernel";
import { eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import {
  endpointFreeBudgetId,
  keyCapBudgetId,
  projectCapBudgetId,
  testCallsBudgetId,
  tierFreeBudgetId,
  walletBudgetId,
} from "../budgets/budgetIds.ts";
import { availableOf } from "../budgets/computeGrant.ts";
import { TEST_CALLS_PER_DAY } from "../budgets/resolveLimits.ts";
import { loadEndpoints } from "../catalog/internal.ts";
import type { EndpointFacts } from "../catalog/planEndpoints.ts";
import type { ServiceContext, Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { AvailableBudgets, CallFacts } from "./decideCall.ts";
import { decideCall } from "./decideCall.ts";
import { invalid } from "./internal.ts";
import { hashKey, hasValidChecksum } from "./keyFormat.ts";
import type { KeyRecord } from "./loadKeyRecord.ts";
import { loadKeyRecord } from "./loadKeyRecord.ts";

type Input = z.output<typeof verifyKeyInput>;

/**
 * The gateway's decision about a call, for services that serve it themselves; see {@link decideCall} for how far it is the
 * same. Nothing is set aside and nothing is counted. @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but services;
 * BAD_REQUEST for an endpoint without its API
 */
export async function verifyKey({ ctx, input }: Verb<Input>): Promise<KeyVerdict> {
  requireService(ctx);
  if (input.endpoint !== undefined && input.api === undefined) throw invalid("api", "Is needed with an endpoint");
  const record = hasValidChecksum(input.key)
    ? await loadKeyRecord({ ctx, input: { hash: hashKey(input.key) } })
    : undefined;
  const { api, endpoint } = await retryRead(() => findRoute(ctx, input));
  const facts: CallFacts = {
    record,
    address: input.address,
    api,
    endpoint,
    cost: input.cost,
    available: record === undefined ? NOTHING : await retryRead(() => readAvailable(ctx, record, endpoint)),
    freeCallOverCap: toMicros(ctx.settings.freeCallOverCapPriceMicros),
  };
  return { ...decideCall(facts, ctx.clock.now()), key: record === undefined ? null : describe(record) };
}

async function findRoute(ctx: ServiceContext, input: Input): Promise<Pick<CallFacts, "api" | "endpoint">> {
  if (input.api === undefined) return { api: undefined, endpoint: undefined };
  const { apis } = schema;
  // Not the whole row: that has the API's documents.
  const [row] = await ctx.db
    .select({ id: apis.id, name: apis.name, status: apis.status })
    .from(apis)
    .where(eq(apis.name, input.api));
  if (row === undefined || row.status === "draft") return { api: null, endpoint: null };
  const api = { name: row.name, status: row.status };
  if (input.endpoint === undefined) return { api, endpoint: undefined };
  const endpoints = (await loadEndpoints(ctx, [row.id])).get(row.id) ?? [];
  return { api, endpoint: endpoints.find((endpoint) => endpoint.name === input.endpoint) ?? null };
}

const NOTHING: AvailableBudgets = {
  wallet: 0n,
  projectCap: undefined,
  keyCap: undefined,
  tierFree: 0n,
  endpointFree: 0n,
  testCalls: 0n,
};

/** What is left of each budget. One that was not drawn on yet has no row, and all of its limit. */
async function readAvailable(
  ctx: ServiceContext,
  record: KeyRecord,
  endpoint: EndpointFacts | null | undefined,
): Promise<AvailableBudgets> {
  const { billingAccount, project, rootKeyId, tier } = record;
  const month = monthPeriod(ctx.clock.nowMs(), billingAccount.timeZone).id;
  const day = dayPeriod(ctx.clock.nowMs(), billingAccount.timeZone).id;
  const ids = {
    wallet: walletBudgetId(billingAccount.id),
    projectCap: projectCapBudgetId(project.id, month),
    keyCap: keyCapBudgetId(rootKeyId, month),
    tierFree: tierFreeBudgetId(billingAccount.id, month),
    endpointFree: endpointFreeBudgetId(billingAccount.id, endpoint?.id ?? "", month),
    testCalls: testCallsBudgetId(project.id, day),
  };
  const { budgets } = schema;
  const rows = await ctx.db
    .select()
    .from(budgets)
    .where(inArray(budgets.id, Object.values(ids)));
  const byId = new Map(rows.map((row) => [row.id, row]));
  /** The limit in force is where it is kept; a budget's own follows at its next lease. */
  const left = (id: string, limit: bigint): bigint => {
    const row = byId.get(id);
    return row === undefined ? limit : availableOf({ ...row, limit });
  };
  const cap = (id: string, limit: bigint | null): bigint | undefined => (limit === null ? undefined : left(id, limit));
  return {
    wallet: left(ids.wallet, byId.get(ids.wallet)?.limitAmount ?? 0n),
    projectCap: cap(ids.projectCap, project.monthlySpendCapMicros),
    keyCap: cap(ids.keyCap, record.monthlySpendCapMicros),
    tierFree: left(ids.tierFree, BigInt(tier.freeCallsPerMonth)),
    endpointFree: left(ids.endpointFree, BigInt(endpoint?.freePerMonth ?? 0)),
    testCalls: left(ids.testCalls, TEST_CALLS_PER_DAY),
  };
}

const describe = (record: KeyRecord): NonNullable<KeyVerdict["key"]> => ({
  id: record.keyId,
  projectId: record.project.id,
  billingAccountId: record.billingAccount.id,
  mode: record.mode,
  scopes: [...record.scopes],
});
