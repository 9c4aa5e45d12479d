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
import type { AvailableBudgets, CallFacts, Verdict } from "./decideCall.ts";
import { decidePayment, RATE_LIMITED, refuseCall } from "./decideCall.ts";
import { invalid } from "./internal.ts";
import { hashKey, hasValidChecksum } from "./keyFormat.ts";
import type { KeyRecord } from "./loadKeyRecord.ts";
import { loadKeyRecord } from "./loadKeyRecord.ts";
import type { RateLimitRule } from "./rateLimitsOf.ts";
import { rateLimitsOf } from "./rateLimitsOf.ts";

type Input = z.output<typeof verifyKeyInput>;

/** What became of a call under its rate limits. */
export interface CountedCall {
  readonly isAllowed: boolean;
  /** In the order of the limits. */
  readonly limits: readonly { readonly quota: number; readonly remaining: number; readonly resetSeconds: number }[];
  /** The call was refused for another reason after all: it uses nothing up. */
  giveBack(): Promise<void>;
}

export interface VerifyContext extends ServiceContext {
  /** Counts calls under the limits that gateways keep; without it rates are not looked at. */
  readonly rates?:
    | {
        /** All or nothing. @throws Error when nobody answers */
        admit(rules: readonly RateLimitRule[]): Promise<CountedCall>;
      }
    | undefined;
}

/**
 * The gateway's decision about a call, for services that serve it themselves; see {@link CallFacts} for how far it is the
 * same. A call that is allowed counts under its rate limits; no money is set aside. While nobody can say how the rates
 * stand they are left out, as they bound how fast a caller is and not what it may spend. @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but services;
 * BAD_REQUEST for an endpoint without its API
 */
export async function verifyKey({ ctx, input }: Verb<Input> & { readonly ctx: VerifyContext }): Promise<KeyVerdict> {
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
  return { ...(await decide(ctx, facts)), key: record === undefined ? null : describe(record) };
}

async function decide(ctx: VerifyContext, facts: CallFacts): Promise<Omit<KeyVerdict, "key">> {
  const now = ctx.clock.now();
  const refused = refuseCall(facts, now);
  if (refused !== undefined || facts.record === undefined) return { ...(refused as Verdict), ...NOT_COUNTED };
  const { record } = facts;
  const rules = rateLimitsOf(record, ctx.settings);
  const counted = await countCall(ctx, rules);
  const rateLimits =
    counted === undefined ? [] : rules.map((rule, index) => describeLimit(rule, counted.limits[index]));
  if (counted?.isAllowed === false) {
    const waits = rateLimits.flatMap((limit) => (limit.remaining === 0 ? [limit.resetSeconds] : []));
    return { ...RATE_LIMITED, rateLimits, retryAfterSeconds: Math.max(1, ...waits) };
  }
  const verdict = decidePayment(record, facts, now);
  if (!verdict.isAllowed) await counted?.giveBack().catch((error: unknown) => ctx.logger.warn({ err: error }, "rates"));
  return { ...verdict, rateLimits, retryAfterSeconds: null };
}

const NOT_COUNTED = { rateLimits: [], retryAfterSeconds: null };

async function countCall(ctx: VerifyContext, rules: readonly RateLimitRule[]): Promise<CountedCall | undefined> {
  try {
    return await ctx.rates?.admit(rules);
  } catch (error) {
    ctx.logger.warn({ err: error }, "nobody says how the rates of a key stand");
    return undefined;
  }
}

const describeLimit = (
  { name, windowSeconds }: RateLimitRule,
  standing: CountedCall["limits"][number] | undefined,
): KeyVerdict["rateLimits"][number] => ({
  name,
  windowSeconds,
  quota: standing?.quota ?? 0,
  remaining: standing?.remaining ?? 0,
  resetSeconds: standing?.resetSeconds ?? windowSeconds,
});

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
