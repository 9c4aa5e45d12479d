import type { LedgerLineDetail } from "@tollgate/db";
import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { subtractMicros, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, asc, eq, gt, inArray, isNull, lt, lte, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { GrantRow, WalletRow } from "./internal.ts";
import type { SettlementFacts, UsageLine } from "./planSettlement.ts";

/** Reads what a settlement is decided from. */
const { accruals, grantConsumptions, grants, ledgerTransactions } = schema;

/** A transaction posts at most this many lines; the rest is for the next one. */
export const SETTLEMENT_LINES_MAX = 1_000;

export interface AccrualLine extends UsageLine {
  readonly projectId: string;
  readonly endpointId: string;
  readonly unitPriceMicros: Micros;
  readonly detail: LedgerLineDetail;
}

export interface GatheredSettlement extends SettlementFacts {
  readonly lines: readonly AccrualLine[];
  readonly grants: readonly (GrantRow & { readonly expiredMicros: Micros })[];
  /** There is no more to post up to that hour. */
  readonly isComplete: boolean;
}

/** The unposted usage of the hours before `before`, oldest first, with the credit that can pay for it. */
export async function gatherSettlement(
  ctx: ServiceContext,
  wallet: Pick<WalletRow, "billingAccountId" | "limitAmount">,
  before: Date,
): Promise<GatheredSettlement> {
  const { billingAccountId } = wallet;
  const rows = await ctx.db
    .select()
    .from(accruals)
    .where(
      and(
        eq(accruals.billingAccountId, billingAccountId),
        lt(accruals.hour, before),
        lt(accruals.settledMicros, accruals.amountMicros),
      ),
    )
    .orderBy(asc(accruals.hour), asc(accruals.projectId), asc(accruals.endpointId), asc(accruals.unitPriceMicros))
    .limit(SETTLEMENT_LINES_MAX + 1);
  const isComplete = rows.length <= SETTLEMENT_LINES_MAX;
  const lines = rows.slice(0, SETTLEMENT_LINES_MAX).map(toLine);
  return {
    postedMicros: toMicros(wallet.limitAmount),
    lines,
    grants: await gatherGrants(ctx, billingAccountId, lines[0]?.hour),
    // Usage that is left for the next transaction may still need what expires after the last hour of this one.
    expireThrough: isComplete ? before : (lines.at(-1)?.hour ?? before),
    isComplete,
  };
}

function toLine(row: typeof accruals.$inferSelect): AccrualLine {
  const { hour, projectId, endpointId, unitPriceMicros } = row;
  return {
    hour,
    projectId,
    endpointId,
    unitPriceMicros,
    amountMicros: subtractMicros(row.amountMicros, row.settledMicros),
    detail: {
      hour: hour.toISOString(),
      projectId,
      endpointId,
      unitPriceMicros: unitPriceMicros.toString(),
      calls: row.calls - row.settledCalls,
      units: (row.units - row.settledUnits).toString(),
    },
  };
}

/** Grants with something left, and those that had expired but were good in the first hour or later. */
async function gatherGrants(
  ctx: ServiceContext,
  billingAccountId: string,
  firstHour: Date | undefined,
): Promise<(GrantRow & { expiredMicros: Micros })[]> {
  const wasGood =
    firstHour === undefined ? undefined : and(gt(grants.expiresAt, firstHour), lte(grants.expiresAt, ctx.clock.now()));
  const rows = await ctx.db
    .select()
    .from(grants)
    .where(and(eq(grants.billingAccountId, billingAccountId), or(gt(grants.remainingMicros, sql`0`), wasGood)));
  const expirable = wasGood === undefined ? [] : rows.filter((row) => row.expiresAt !== null).map((row) => row.id);
  if (expirable.length === 0) return rows.map((row) => ({ ...row, expiredMicros: ZERO_MICROS }));
  const taken = await ctx.db
    .select({ grantId: grantConsumptions.grantId, amountMicros: grantConsumptions.amountMicros })
    .from(grantConsumptions)
    .innerJoin(ledgerTransactions, eq(ledgerTransactions.id, grantConsumptions.transactionId))
    .where(
      and(
        inArray(grantConsumptions.grantId, expirable),
        inArray(ledgerTransactions.kind, ["expiry", "reversal"]),
        // An operator's reversal of a credit is no expiry: what it took does not come back for a late call.
        isNull(ledgerTransactions.correctsId),
      ),
    );
  return rows.map((row) => ({
    ...row,
    expiredMicros: sumMicros(taken.filter((each) => each.grantId === row.id).map((each) => each.amountMicros)),
  }));
}
