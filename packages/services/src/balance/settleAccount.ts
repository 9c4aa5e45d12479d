import type { TransactionKind } from "@tollgate/contracts";
import { balanceDebited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { actorName, badRequest, negateMicros, newId, sumMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, eq, lt, sql } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import type { Consumption } from "./grantOrder.ts";
import type { Entry, WalletRow } from "./internal.ts";
import {
  expiredAccount,
  insertEntries,
  lockWallet,
  moveWallet,
  REVENUE_ACCOUNT,
  walletAccount,
  writeConsumptions,
} from "./internal.ts";
import type { SettlementPlan } from "./planSettlement.ts";
import { planSettlement } from "./planSettlement.ts";
import type { GatheredSettlement } from "./settlementFacts.ts";
import { gatherSettlement } from "./settlementFacts.ts";

export interface Settlement {
  /** Null when there was nothing to post. */
  readonly transactionId: string | null;
  readonly lines: number;
  readonly totalMicros: Micros;
  readonly expiredMicros: Micros;
  /** Whether everything before the hour is posted now. If not, there is more for another settlement. */
  readonly isComplete: boolean;
}

/**
 * Posts an account's usage of the hours before `before` to the ledger: one transaction with a line for each project,
 * endpoint and price, taking from the grants that were good in each hour, and takes off credit that expired. What was
 * posted is remembered with the usage itself, so running it again, or in two places at once, posts nothing twice, and a
 * call that is counted later is posted later.
 * @throws TollgateError FORBIDDEN; NOT_FOUND; BAD_REQUEST when `before` is in the future
 */
export async function settleAccount({
  ctx,
  input,
}: Verb<{ readonly billingAccountId: string; readonly before: Date }>): Promise<Settlement> {
  requireAdminOrService(ctx);
  if (input.before.getTime() > ctx.clock.nowMs()) {
    throw badRequest("Only the past can be settled", {
      issues: [{ path: "before", message: "Must not be in the future" }],
    });
  }
  return withTransaction(
    ctx,
    async (ctx) => settleWallet(ctx, await lockWallet(ctx, input.billingAccountId), input.before),
    { isIdempotent: true },
  );
}

/** The same for a wallet that the transaction has locked. The wallet's row must be read again afterwards. */
export async function settleWallet(ctx: ServiceContext, wallet: WalletRow, before: Date): Promise<Settlement> {
  const facts = await gatherSettlement(ctx, wallet, before);
  const plan = planSettlement(facts);
  const restoredMicros = sumOf(plan.restored);
  const expiredMicros = sumOf(plan.expired);
  await postGrantChange(ctx, wallet, "reversal", plan.restored, facts);
  const transactionId = await postUsage(ctx, wallet, facts, plan);
  await postGrantChange(ctx, wallet, "expiry", plan.expired, facts);
  if (transactionId !== null || expiredMicros > 0n) {
    await moveWallet(ctx, wallet, {
      postedMicros: sumMicros([restoredMicros, negateMicros(plan.totalMicros), negateMicros(expiredMicros)]),
      usedMicros: negateMicros(plan.totalMicros),
    });
    await writeAudit(ctx, {
      action: "balance.settle",
      subject: wallet.billingAccountId,
      after: { transactionId, before, totalMicros: plan.totalMicros, expiredMicros, lines: facts.lines.length },
    });
  }
  return {
    transactionId,
    lines: facts.lines.length,
    totalMicros: plan.totalMicros,
    expiredMicros,
    isComplete: facts.isComplete,
  };
}

async function postUsage(
  ctx: ServiceContext,
  wallet: WalletRow,
  facts: GatheredSettlement,
  plan: SettlementPlan,
): Promise<string | null> {
  const [first] = facts.lines;
  const last = facts.lines.at(-1);
  if (first === undefined || last === undefined) return null;
  const entries: Entry[] = facts.lines.map((line) => ({
    account: walletAccount(wallet.billingAccountId),
    amountMicros: negateMicros(line.amountMicros),
    detail: line.detail,
  }));
  const reference =
    first.hour.getTime() === last.hour.getTime()
      ? `Usage of ${first.detail.hour}`
      : `Usage of ${first.detail.hour} to ${last.detail.hour}`;
  const transactionId = await post(ctx, wallet, {
    kind: "settlement",
    reference,
    entries: [...entries, { account: REVENUE_ACCOUNT, amountMicros: plan.totalMicros }],
    consumptions: plan.consumed,
    amountMicros: plan.totalMicros,
  });
  const { accruals } = schema;
  // The lines are a prefix in this very order, so the last one bounds them.
  await ctx.db
    .update(accruals)
    .set({
      settledCalls: sql`${accruals.calls}`,
      settledUnits: sql`${accruals.units}`,
      settledMicros: sql`${accruals.amountMicros}`,
    })
    .where(
      and(
        eq(accruals.billingAccountId, wallet.billingAccountId),
        lt(accruals.settledMicros, accruals.amountMicros),
        sql`(${accruals.hour}, ${accruals.projectId}, ${accruals.endpointId}, ${accruals.unitPriceMicros})
          <= (${last.detail.hour}::timestamptz, ${last.projectId}::text, ${last.endpointId}::text,
              ${last.detail.unitPriceMicros}::int8)`,
      ),
    );
  return transactionId;
}

/** Takes expired credit off the books, or brings some of it back: a line for each source. */
async function postGrantChange(
  ctx: ServiceContext,
  wallet: WalletRow,
  kind: "expiry" | "reversal",
  changes: readonly Consumption[],
  facts: GatheredSettlement,
): Promise<void> {
  if (changes.length === 0) return;
  const sources = new Map(facts.grants.map((grant) => [grant.id, grant.source]));
  const signed = changes.map((change) => ({
    ...change,
    amountMicros: kind === "expiry" ? change.amountMicros : negateMicros(change.amountMicros),
  }));
  const total = sumOf(signed);
  const toExpired = (change: Consumption): Entry => {
    const source = sources.get(change.grantId);
    if (source === undefined) throw new Error(`The grant ${change.grantId} is not among the facts`);
    return { account: expiredAccount(source), amountMicros: change.amountMicros };
  };
  await post(ctx, wallet, {
    kind,
    reference: kind === "expiry" ? "Expired credit" : "Credit that had expired after it was used",
    entries: [
      { account: walletAccount(wallet.billingAccountId), amountMicros: negateMicros(total) },
      ...signed.map(toExpired),
    ],
    consumptions: signed,
    amountMicros: total,
  });
}

interface Posting {
  readonly kind: Extract<TransactionKind, "settlement" | "expiry" | "reversal">;
  readonly reference: string;
  readonly entries: readonly Entry[];
  readonly consumptions: readonly Consumption[];
  /** What left the wallet; below zero for what came back. */
  readonly amountMicros: Micros;
}

/** What makes a settlement happen once is the state it reads, so its key is its own. */
async function post(ctx: ServiceContext, wallet: WalletRow, posting: Posting): Promise<string> {
  const id = newId("transaction");
  await ctx.db.insert(schema.ledgerTransactions).values({
    id,
    billingAccountId: wallet.billingAccountId,
    kind: posting.kind,
    idempotencyKey: id,
    requestHash: "",
    reference: posting.reference,
    isVisible: true,
    actor: actorName(ctx.actor),
    createdAt: ctx.clock.now(),
  });
  await insertEntries(ctx, id, posting.entries);
  await writeConsumptions(ctx, id, posting.consumptions);
  if (posting.amountMicros > ZERO_MICROS) {
    await appendEvent(ctx, balanceDebited, {
      billingAccountId: wallet.billingAccountId,
      transactionId: id,
      kind: posting.kind,
      micros: posting.amountMicros.toString(),
    });
  }
  return id;
}

const sumOf = (consumptions: readonly Consumption[]): Micros =>
  sumMicros(consumptions.map((each) => each.amountMicros));
