import type { TierSubscription } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import { walletBudgetId } from "../../budgets/budgetIds.ts";
import type { ServiceContext } from "../../context.ts";

const { billingAccounts, budgets, subscriptions, tiers } = schema;
export type SubscriptionRow = typeof subscriptions.$inferSelect;
export type TierRow = typeof tiers.$inferSelect;

export const toSubscription = (row: SubscriptionRow): TierSubscription => ({
  id: row.id,
  billingAccountId: row.billingAccountId,
  status: row.status,
  tierId: row.tierId,
  pendingTierId: row.pendingTierId,
  isCancelling: row.isCancelling,
  periodStart: row.periodStart,
  periodEnd: row.periodEnd,
  createdAt: row.createdAt,
  endedAt: row.endedAt,
});

/** The account's subscription that has not ended; there is one at most. */
export async function findLive(ctx: ServiceContext, billingAccountId: string): Promise<SubscriptionRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(subscriptions)
    .where(and(eq(subscriptions.billingAccountId, billingAccountId), isNull(subscriptions.endedAt)));
  return row;
}

export async function readRow(ctx: ServiceContext, id: string): Promise<SubscriptionRow> {
  const [row] = await ctx.db.select().from(subscriptions).where(eq(subscriptions.id, id));
  if (row === undefined) throw new Error(`The subscription ${id} is gone`);
  return row;
}

/** @throws TollgateError NOT_FOUND */
export async function requireTier(ctx: ServiceContext, tierId: string): Promise<TierRow> {
  const [tier] = await ctx.db.select().from(tiers).where(eq(tiers.id, tierId));
  if (tier === undefined) throw notFound("tier");
  return tier;
}

/**
 * Puts an account on a tier, in the transaction that says why: gateways look its keys up again when that is announced,
 * and what its wallet may owe is what the tier lends.
 */
export async function setAccountTier(ctx: ServiceContext, billingAccountId: string, tierId: string): Promise<void> {
  const tier = await requireTier(ctx, tierId);
  const now = ctx.clock.now();
  const [before] = await ctx.db
    .select({ overage: tiers.overage })
    .from(billingAccounts)
    .innerJoin(tiers, eq(tiers.id, billingAccounts.tierId))
    .where(eq(billingAccounts.id, billingAccountId));
  const lent = before?.overage === "invoice" ? { lentAt: now } : {};
  await ctx.db
    .update(billingAccounts)
    .set({ ...lent, tierId, updatedAt: now })
    .where(eq(billingAccounts.id, billingAccountId));
  await ctx.db
    .update(budgets)
    .set({ overdraft: tier.overage === "invoice" ? tier.creditLimitMicros : 0n, updatedAt: now })
    .where(eq(budgets.id, walletBudgetId(billingAccountId)));
}
