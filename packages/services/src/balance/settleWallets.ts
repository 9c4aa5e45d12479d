import { balanceDebited } from "@tollgate/contracts";
import { appendEvents, inPipeline, withTransaction, writeAudits } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { badRequest, negateMicros, sumMicros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { Consumption } from "./grantOrder.ts";
import type { WalletRow } from "./internal.ts";
import { expiredAccount, lockWallets, moveWallets, REVENUE_ACCOUNT, walletAccount } from "./internal.ts";
import type { SettlementPlan } from "./planSettlement.ts";
import { planSettlement } from "./planSettlement.ts";
import type { Posting } from "./postings.ts";
import { preparePosting, writePostings } from "./postings.ts";
import type { GatheredSettlement } from "./settlementFacts.ts";
import { gatherSettlements } from "./settlementFacts.ts";

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
 * Settles accounts in one transaction, a statement a table however many they are. An account that there was no room for is
 * not among the answers. The wallets' locks are what everything here is decided under (decision 17): usage is counted,
 * credit given and credit taken only by who holds them, so it need not be SERIALIZABLE, and waits where that would fail.
 * @throws TollgateError NOT_FOUND when one of them is not there; BAD_REQUEST when `before` is in the future
 */
export async function settleTogether(
  ctx: ServiceContext,
  billingAccountIds: readonly string[],
  before: Date,
): Promise<ReadonlyMap<string, Settlement>> {
  if (before.getTime() > ctx.clock.nowMs()) {
    throw badRequest("Only the past can be settled", {
      issues: [{ path: "before", message: "Must not be in the future" }],
    });
  }
  return withTransaction(ctx, async (ctx) => settleWallets(ctx, await lockWallets(ctx, billingAccountIds), before), {
    isIdempotent: true,
    isLockingItsRows: true,
  });
}

/**
 * Settles accounts until nothing before the hour is left, in as many transactions as that takes.
 * @returns how many ledger transactions posted usage
 * @throws TollgateError as {@link settleTogether}
 */
export async function settleCompletely(
  ctx: ServiceContext,
  billingAccountIds: readonly string[],
  before: Date,
): Promise<number> {
  let transactions = 0;
  for (let open = billingAccountIds; open.length > 0; ) {
    const settled = await settleTogether(ctx, open, before);
    transactions += [...settled.values()].filter(({ transactionId }) => transactionId !== null).length;
    open = open.filter((id) => settled.get(id)?.isComplete !== true);
  }
  return transactions;
}

interface PlannedSettlement {
  readonly facts: GatheredSettlement;
  readonly plan: SettlementPlan;
  readonly postings: readonly Posting[];
  readonly settlement: Settlement;
}

/** The same for wallets that the transaction has locked. Their rows must be read again afterwards. */
export async function settleWallets(
  ctx: ServiceContext,
  wallets: readonly WalletRow[],
  before: Date,
): Promise<ReadonlyMap<string, Settlement>> {
  const planned = (await gatherSettlements(ctx, wallets, before)).map((facts) => planOne(facts));
  const changed = planned.filter(({ postings }) => postings.length > 0);
  if (changed.length > 0) {
    const postings = changed.flatMap((each) => each.postings);
    await inPipeline([
      writePostings(ctx, postings),
      markSettled(ctx, changed),
      moveWallets(ctx, wallets, changed.map(toChange)),
      appendEvents(ctx, postings.filter(({ takenMicros }) => takenMicros > 0n).map(toDebited)),
      writeAudits(
        ctx,
        changed.map(({ facts, settlement: { transactionId, totalMicros, expiredMicros, lines } }) => ({
          action: "balance.settle",
          subject: facts.billingAccountId,
          after: { transactionId, before, totalMicros, expiredMicros, lines },
        })),
      ),
    ]);
  }
  return new Map(planned.map(({ facts, settlement }) => [facts.billingAccountId, settlement]));
}

const toChange = ({ facts: { billingAccountId }, plan: { restored, totalMicros, expired } }: PlannedSettlement) => ({
  billingAccountId,
  postedMicros: sumMicros([sumOf(restored), negateMicros(totalMicros), negateMicros(sumOf(expired))]),
  usedMicros: negateMicros(totalMicros),
});

const toDebited = ({ id, billingAccountId, kind, takenMicros }: Posting) => ({
  definition: balanceDebited,
  data: { billingAccountId, transactionId: id, kind, micros: takenMicros.toString() },
});

/** In the order of the books: what comes back for late usage, the usage, what has expired. */
function planOne(facts: GatheredSettlement): PlannedSettlement {
  const plan = planSettlement(facts);
  const usage = postUsage(facts, plan);
  const postings = [
    postGrantChange(facts, "reversal", plan.restored),
    usage,
    postGrantChange(facts, "expiry", plan.expired),
  ];
  return {
    facts,
    plan,
    postings: postings.filter((posting) => posting !== undefined),
    settlement: {
      transactionId: usage?.id ?? null,
      lines: facts.lines.length,
      totalMicros: plan.totalMicros,
      expiredMicros: sumOf(plan.expired),
      isComplete: facts.isComplete,
    },
  };
}

function postUsage({ billingAccountId, lines }: GatheredSettlement, plan: SettlementPlan): Posting | undefined {
  const [first] = lines;
  const last = lines.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const isOneHour = first.hour.getTime() === last.hour.getTime();
  return preparePosting({
    billingAccountId,
    kind: "settlement",
    reference: `Usage of ${first.detail.hour}${isOneHour ? "" : ` to ${last.detail.hour}`}`,
    entries: [
      ...lines.map((line) => ({
        account: walletAccount(billingAccountId),
        amountMicros: negateMicros(line.amountMicros),
        detail: line.detail,
      })),
      { account: REVENUE_ACCOUNT, amountMicros: plan.totalMicros },
    ],
    consumptions: plan.consumed,
    takenMicros: plan.totalMicros,
  });
}

/** Takes expired credit off the books, or brings some of it back: a line for each source. */
function postGrantChange(
  { billingAccountId, grants }: GatheredSettlement,
  kind: "expiry" | "reversal",
  changes: readonly Consumption[],
): Posting | undefined {
  if (changes.length === 0) return undefined;
  const sources = new Map(grants.map((grant) => [grant.id, grant.source]));
  const signed = changes.map((change) => ({
    ...change,
    amountMicros: kind === "expiry" ? change.amountMicros : negateMicros(change.amountMicros),
  }));
  const total = sumOf(signed);
  return preparePosting({
    billingAccountId,
    kind,
    reference: kind === "expiry" ? "Expired credit" : "Credit that had expired after it was used",
    entries: [
      { account: walletAccount(billingAccountId), amountMicros: negateMicros(total) },
      ...signed.map(({ grantId, amountMicros }) => {
        const source = sources.get(grantId);
        if (source === undefined) throw new Error(`The grant ${grantId} is not among the facts`);
        return { account: expiredAccount(source), amountMicros };
      }),
    ],
    consumptions: signed,
    takenMicros: total,
  });
}

/** Notes with the usage that it is posted. The lines are a prefix in this very order, so the last one bounds them. */
async function markSettled(ctx: ServiceContext, planned: readonly PlannedSettlement[]): Promise<void> {
  const lasts = planned.flatMap(({ facts }) => {
    const last = facts.lines.at(-1);
    return last === undefined ? [] : [{ ...last, billingAccountId: facts.billingAccountId }];
  });
  if (lasts.length === 0) return;
  await ctx.db.execute(sql`
    update accruals set settled_calls = calls, settled_units = units, settled_micros = amount_micros
    from unnest(${sql.param(lasts.map((last) => last.billingAccountId))}::text[],
                ${sql.param(lasts.map((last) => last.detail.hour))}::text[],
                ${sql.param(lasts.map((last) => last.projectId))}::text[],
                ${sql.param(lasts.map((last) => last.endpointId))}::text[],
                ${sql.param(lasts.map((last) => last.detail.unitPriceMicros))}::int8[])
      as last (account, hour, project, endpoint, price)
    where accruals.billing_account_id = last.account and not is_settled
      and (accruals.hour, accruals.project_id, accruals.endpoint_id, accruals.unit_price_micros)
        <= (last.hour::timestamptz, last.project, last.endpoint, last.price)`);
}

const sumOf = (consumptions: readonly Consumption[]): Micros =>
  sumMicros(consumptions.map((each) => each.amountMicros));
