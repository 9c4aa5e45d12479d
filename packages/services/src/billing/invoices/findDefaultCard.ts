import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { findStripeCustomer } from "../../payments/stripeCustomer.ts";
import { fetchCards } from "../../payments/sync/syncCards.ts";

/** The customer's default card, or their newest: a card that was chosen once may be the one that is refused. */
export async function findDefaultCard(ctx: PaymentsContext, billingAccountId: string): Promise<string | undefined> {
  const customer = await findStripeCustomer(ctx, billingAccountId);
  const found = customer === undefined ? undefined : await fetchCards(ctx, customer);
  return found?.defaultCardId ?? found?.cards[0]?.id;
}
