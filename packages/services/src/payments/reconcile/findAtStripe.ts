import { askStripe } from "../askStripe.ts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { findStripeCustomer, METADATA } from "../stripeCustomer.ts";

const CLOCKS_APART_SECONDS = 3_600;

/** The intent of a payment whose answer was lost: the account's intents say which payment each is for. */
export async function findAtStripe(ctx: PaymentsContext, payment: PaymentRow): Promise<string | undefined> {
  const { client } = requireStripe(ctx);
  const customer = await findStripeCustomer(ctx, payment.billingAccountId);
  if (customer === undefined) return undefined;
  const gte = Math.floor(payment.createdAt.getTime() / 1_000) - CLOCKS_APART_SECONDS;
  return askStripe(async () => {
    for await (const intent of client.paymentIntents.list({ customer, created: { gte }, limit: 100 })) {
      if (intent.metadata[METADATA.paymentId] === payment.id) return intent.id;
    }
    return undefined;
  });
}
