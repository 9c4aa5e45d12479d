import type { LedgerLineDetail } from "@tollgate/db";
import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { groupBy, subtractMicros, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, asc, eq, gt, inArray, isNull, lt, lte, not, or, sql } from "drizzle-orm";
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
  readonly billingAccountId: string;
  readonly lines: readonly AccrualLine[];
  readonly grants: readonly (GrantRow & { readonly expiredMicros: Micros })[];
  /** There is no more to post up to that hour. */
  readonly isComplete: boolean;
}

type SettledWallet = Pick<WalletRow, "billingAccountId" | "limitAmount">;

/** The unposted usage of the hours before `before`, oldest first, with the credit that can pay for it. */
export async function gatherSettlement(
  ctx: ServiceContext,
  wallet: SettledWallet,
  before: Date,
): Promise<GatheredSettlement> {
  const [gathered] = await gatherSettlements(ctx, [wallet], before);
  if (gathered === undefined) throw new Error(`The settlement of ${wallet.billingAccountId} was not gathered`);
  return gathered;
}

/**
 * The same for many wallets, together up to as many lines as a transaction posts. Wallets for which there was no room are
 * not among the answers: it is their turn when the others are done.
 */
export async function gatherSettlements(
  ctx: ServiceContext,
  wallets: readonly SettledWallet[],
  before: Date,
): Promise<GatheredSettlement[]> {
  const ids = wallets.map((wallet) => wallet.billingAccountId);
  const rows = await ctx.db
    .select()
    .from(accruals)
    .where(and(inArray(accruals.billingAccountId, ids), lt(accruals.hour, before), not(accruals.isSettled)))
    .orderBy(
      asc(accruals.billingAccountId),
      ...[asc(accruals.hour), asc(accruals.projectId), asc(accruals.endpointId), asc(accruals.unitPriceMicros)],
    )
    .limit(SETTLEMENT_LINES_MAX + 1);
  const cut = rows[SETTLEMENT_LINES_MAX]?.billingAccountId;
  const lines = groupBy(rows.slice(0, SETTLEMENT_LINES_MAX), (row) => row.billingAccountId);
  const gathered = wallets.filter(({ billingAccountId }) => cut === undefined || lines.has(billingAccountId));
  const grantsOf = await gatherGrants(
    ctx,
    new Map(gathered.map(({ billingAccountId }) => [billingAccountId, lines.get(billingAccountId)?.[0]?.hour])),
  );
  return gathered.map(({ billingAccountId, limitAmount }) => {
    const mine = (lines.get(billingAccountId) ?? []).map(toLine);
    const isComplete = billingAccountId !== cut;
    return {
      billingAccountId,
      postedMicros: toMicros(limitAmount),
      lines: mine,
      grants: grantsOf.get(billingAccountId) ?? [],
      // Usage that is left for the next transaction may still need what expires after the last hour of this one.
      expireThrough: isComplete ? before : (mine.at(-1)?.hour ?? before),
      isComplete,
    };
  });
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

type GatheredGrant = GatheredSettlement["grants"][number];

/**
 * Of each account the grants with something left, and those that had expired but were good in the first hour that is to be
 * settled or later.
 */
async function gatherGrants(
  ctx: ServiceContext,
  firstHours: ReadonlyMap<string, Date | undefined>,
): Promise<ReadonlyMap<string, readonly GatheredGrant[]>> {
  const hours = [...firstHours.values()].filter((hour) => hour !== undefined);
  const earliest = hours.length === 0 ? undefined : new Date(Math.min(...hours.map((hour) => hour.getTime())));
  const now = ctx.clock.now();
  const rows = await ctx.db
    .select()
    .from(grants)
    .where(
      and(
        inArray(grants.billingAccountId, [...firstHours.keys()]),
        or(
          gt(grants.remainingMicros, sql`0`),
          earliest === undefined ? undefined : and(gt(grants.expiresAt, earliest), lte(grants.expiresAt, now)),
        ),
      ),
    );
  const wasGood = (row: GrantRow): boolean => {
    const first = firstHours.get(row.billingAccountId);
    return first !== undefined && row.expiresAt !== null && row.expiresAt > first;
  };
  const expirable = rows.filter(wasGood).map((row) => row.id);
  const taken = expirable.length === 0 ? new Map() : await readExpired(ctx, expirable);
  return groupBy(
    rows
      .filter((row) => row.remainingMicros > 0n || wasGood(row))
      .map((row) => ({ ...row, expiredMicros: taken.get(row.id) ?? ZERO_MICROS })),
    (row) => row.billingAccountId,
  );
}

/** What expiry took off each grant, less what was brought back since. */
async function readExpired(ctx: ServiceContext, grantIds: readonly string[]): Promise<ReadonlyMap<string, Micros>> {
  const taken = await ctx.db
    .select({ grantId: grantConsumptions.grantId, amountMicros: grantConsumptions.amountMicros })
    .from(grantConsumptions)
    .innerJoin(ledgerTransactions, eq(ledgerTransactions.id, grantConsumptions.transactionId))
    .where(
      and(
        inArray(grantConsumptions.grantId, [...grantIds]),
        inArray(ledgerTransactions.kind, ["expiry", "reversal"]),
        // An operator's reversal of a credit is no expiry: what it took does not come back for a late call.
        isNull(ledgerTransactions.correctsId),
      ),
    );
  const byGrant = groupBy(taken, (each) => each.grantId);
  return new Map([...byGrant].map(([id, all]) => [id, sumMicros(all.map((each) => each.amountMicros))]));
}
