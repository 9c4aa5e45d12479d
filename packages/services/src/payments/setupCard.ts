import type { accountPaymentsInput, CardSetup } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import type { PaymentsVerb } from "./stripeAccount.ts";
import { keyForOnce, requireStripe } from "./stripeAccount.ts";
import { ensureStripeCustomer, METADATA } from "./stripeCustomer.ts";

/**
 * Begins to save a card: a page gives the client secret to Stripe's library, which takes the card's number. It never
 * comes here. The card is there when Stripe says so.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, UNAVAILABLE
 */
export async function setupCard({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof accountPaymentsInput>>): Promise<CardSetup> {
  const { billingAccountId } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  const { client, publishableKey } = requireStripe(ctx);
  const customer = await ensureStripeCustomer(ctx, billingAccountId);
  const intent = await askStripe(() =>
    client.setupIntents.create(
      {
        customer,
        usage: "off_session",
        allowed_payment_method_types: ["card"],
        metadata: { [METADATA.billingAccountId]: billingAccountId },
      },
      { idempotencyKey: keyForOnce("setup-card") },
    ),
  );
  if (intent.client_secret === null) throw new Error(`The setup intent ${intent.id} has no client secret`);
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, { action: "payments.setupCard", subject: billingAccountId, after: { setupIntentId: intent.id } }),
  );
  return { clientSecret: intent.client_secret, publishableKey };
}
