import type { cancelSubscriptionInput, TierSubscription } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import type { z } from "zod";
import type { PaymentsContext, PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { changeUnderWay, updateAtStripe } from "./changeSubscription.ts";
import { endAtStripe } from "./endSubscription.ts";
import { findLive, toSubscription } from "./internal.ts";
import { abandonIfOld, findAtStripe } from "./startSubscription.ts";
import type { SyncedSubscription } from "./syncSubscription.ts";
import { requireSynced } from "./syncSubscription.ts";

/**
 * Ends the account's subscription with its period, or now: then the account is on the free tier at once and nothing is
 * given back. Again it changes nothing.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account, or one that pays for no tier; CONFLICT
 * `change_under_way` while its subscription is being made; UNAVAILABLE
 */
export async function cancelSubscription({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof cancelSubscriptionInput>>): Promise<TierSubscription> {
  const { billingAccountId, atPeriodEnd } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  requireStripe(ctx);
  const live = await findLive(ctx, billingAccountId);
  if (live === undefined) throw notFound("subscription");
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, { action: "billing.cancelSubscription", subject: billingAccountId, after: { atPeriodEnd } }),
  );
  const stripeId = live.stripeSubscriptionId ?? (await findAtStripe(ctx, live));
  if (stripeId === undefined) {
    if (!(await abandonIfOld(ctx, live))) throw changeUnderWay("The subscription is still being made: ask again");
    return toSubscription({ ...live, status: "ended", endedAt: ctx.clock.now() });
  }
  const synced = await requireSynced(ctx, stripeId);
  if (synced.row.status === "ended") return toSubscription(synced.row);
  // One that was never paid for has no period to wait for.
  const isNow = !atPeriodEnd || synced.row.status === "incomplete";
  return toSubscription((isNow ? await endAtStripe(ctx, synced) : await cancelInTime(ctx, synced)).row);
}

/** Lets a subscription end with its period. */
export async function cancelInTime(ctx: PaymentsContext, synced: SyncedSubscription): Promise<SyncedSubscription> {
  if (synced.row.isCancelling) return synced;
  await updateAtStripe(ctx, synced, "cancel", { cancel_at_period_end: true });
  return requireSynced(ctx, synced.facts.id);
}
