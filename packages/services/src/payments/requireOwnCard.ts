import { notFound } from "@tollgate/kernel";
import type Stripe from "stripe";
import { askStripe } from "./askStripe.ts";
import type { PaymentsContext } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { findStripeCustomer } from "./stripeCustomer.ts";

/**
 * A card, if it is the account's own. Stripe is asked, because a card may be minutes old.
 * @throws TollgateError NOT_FOUND for a card that is not there or another account's
 */
export async function requireOwnCard(
  ctx: PaymentsContext,
  billingAccountId: string,
  cardId: string,
): Promise<{ readonly card: Stripe.PaymentMethod; readonly stripeCustomerId: string }> {
  const { client } = requireStripe(ctx);
  const stripeCustomerId = await findStripeCustomer(ctx, billingAccountId);
  if (stripeCustomerId === undefined) throw notFound("card");
  const card = await askStripe(() => client.paymentMethods.retrieve(cardId));
  if (card.customer !== stripeCustomerId) throw notFound("card");
  return { card, stripeCustomerId };
}
