import { billingSubscriptionLapsed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { FREE_TIER_ID } from "../seedTiers.ts";
import { endAtStripe } from "./endSubscription.ts";
import { findLive, setAccountTier } from "./internal.ts";
import { requireSynced } from "./syncSubscription.ts";

const { billingAccounts, subscriptions } = schema;

/**
 * Nobody has paid, for a subscription or for usage: the subscription ends and the account is on the free tier. Cut anywhere and run again, or run in two
 * places at once, it ends the same, and is announced once.
 */
export async function lapseAccount(
  ctx: PaymentsContext,
  unpaid: { readonly billingAccountId: string /** Null for usage. */; readonly id: string | null },
): Promise<void> {
  const { billingAccountId } = unpaid;
  const live = await findLive(ctx, billingAccountId);
  // What an older subscription has left open is no matter of the one that runs, which is paid for.
  if (unpaid.id !== null && live?.id !== unpaid.id) return;
  if (live === undefined || live.stripeSubscriptionId === null) {
    await withTransaction(ctx, (ctx) => leaveTier(ctx, billingAccountId), { isIdempotent: true });
    return;
  }
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db
        .update(subscriptions)
        .set({ isLapsed: true })
        .where(and(eq(subscriptions.id, live.id), isNull(subscriptions.endedAt))),
    { isIdempotent: true },
  );
  await endAtStripe(ctx, await requireSynced(ctx, live.stripeSubscriptionId));
}

/** An account on a tier that nobody pays for at Stripe. */
async function leaveTier(ctx: PaymentsContext, billingAccountId: string): Promise<void> {
  const [account] = await ctx.db
    .select()
    .from(billingAccounts)
    .where(eq(billingAccounts.id, billingAccountId))
    .for("update");
  if (account === undefined || account.tierId === FREE_TIER_ID) return;
  await setAccountTier(ctx, billingAccountId, FREE_TIER_ID);
  await writeAudit(ctx, {
    action: "billing.lapse",
    subject: billingAccountId,
    before: { tierId: account.tierId },
    after: { tierId: FREE_TIER_ID },
  });
  await appendEvent(ctx, billingSubscriptionLapsed, { billingAccountId, subscriptionId: null, tierId: account.tierId });
}
