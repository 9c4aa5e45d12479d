import type { cardInput, Done } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import { requireOwnCard } from "./requireOwnCard.ts";
import type { PaymentsVerb } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { syncCards } from "./sync/syncCards.ts";

/** Takes a card off for good; an automatic top-up with it ends. @throws TollgateError UNAUTHORIZED, NOT_FOUND, UNAVAILABLE */
export async function deleteCard({ ctx, input }: PaymentsVerb<z.output<typeof cardInput>>): Promise<Done> {
  const { billingAccountId, cardId } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  const { client } = requireStripe(ctx);
  const { stripeCustomerId } = await requireOwnCard(ctx, billingAccountId, cardId);
  // A card that was taken off never comes back under its id, so its id is the key.
  await askStripe(() => client.paymentMethods.detach(cardId, {}, { idempotencyKey: `detach:${cardId}` }));
  await syncCards(ctx, stripeCustomerId);
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, { action: "payments.deleteCard", subject: billingAccountId, before: { cardId } }),
  );
  return { ok: true };
}
