import type { syncSubscriptionJob } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { PaymentsVerb } from "../../payments/stripeAccount.ts";
import { requireAdminOrService } from "../../permissions.ts";
import { lapseAccount } from "./lapseAccount.ts";
import { abandonIfOld, findAtStripe } from "./startSubscription.ts";
import { syncStripeInvoice } from "./syncStripeInvoice.ts";
import { syncSubscription } from "./syncSubscription.ts";

/** Asks what has become of a subscription that nobody has heard of, and of its newest invoice. */
export async function followSubscription({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof syncSubscriptionJob.schema>>): Promise<void> {
  requireAdminOrService(ctx);
  const { subscriptions } = schema;
  const [row] = await ctx.db.select().from(subscriptions).where(eq(subscriptions.id, input.subscriptionId));
  if (row === undefined || row.endedAt !== null) return;
  const stripeId = row.stripeSubscriptionId ?? (await findAtStripe(ctx, row));
  if (stripeId === undefined) {
    await abandonIfOld(ctx, row);
    return;
  }
  const synced = await syncSubscription(ctx, stripeId);
  if (synced?.facts.latest_invoice) await syncStripeInvoice(ctx, synced.facts.latest_invoice.id);
  // An account at Stripe that is set so keeps such a subscription and sends bills for it for ever.
  if (synced?.facts.status === "unpaid") await lapseAccount(ctx, row);
}
