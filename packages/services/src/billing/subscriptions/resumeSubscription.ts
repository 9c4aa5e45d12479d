import type { resumeSubscriptionInput, TierChange } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import type { z } from "zod";
import { requireOwnCard } from "../../payments/requireOwnCard.ts";
import type { PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { payOpenInvoice, updateAtStripe } from "./changeSubscription.ts";
import { findLive, toSubscription } from "./internal.ts";
import { requireSynced } from "./syncSubscription.ts";

/**
 * Lets a subscription go on: takes a cancellation back that has not taken effect, and pays what a renewal left open. What
 * goes on already stays as it is; what has ended is begun anew by `subscribeTier`.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account, a card, or an account that pays for no tier;
 * PAYMENT_REQUIRED with the bank's reason; UNAVAILABLE
 */
export async function resumeSubscription({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof resumeSubscriptionInput>>): Promise<TierChange> {
  const { billingAccountId, cardId } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  requireStripe(ctx);
  if (cardId !== undefined) await requireOwnCard(ctx, billingAccountId, cardId);
  const live = await findLive(ctx, billingAccountId);
  if (live === undefined || live.stripeSubscriptionId === null) throw notFound("subscription");
  let synced = await requireSynced(ctx, live.stripeSubscriptionId);
  if (synced.row.status === "ended") throw notFound("subscription");
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, { action: "billing.resumeSubscription", subject: billingAccountId, after: { cardId } }),
  );
  if (synced.row.isCancelling) {
    await updateAtStripe(ctx, synced, "resume", { cancel_at_period_end: false });
    synced = await requireSynced(ctx, synced.facts.id);
  }
  const asks = synced.row.status === "past_due" ? await payOpenInvoice(ctx, synced, cardId) : undefined;
  const { row, facts } = await requireSynced(ctx, synced.facts.id);
  return {
    effect: "now",
    subscription: toSubscription(row),
    clientSecret: asks?.clientSecret ?? null,
    hostedUrl: asks === undefined ? null : (facts.latest_invoice?.hosted_invoice_url ?? null),
  };
}
