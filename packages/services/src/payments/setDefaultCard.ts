import type { cardInput, Done } from "@tollgate/contracts";
import { paymentsDefaultCardChanged } from "@tollgate/contracts";
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import { requireOwnCard } from "./requireOwnCard.ts";
import type { PaymentsVerb } from "./stripeAccount.ts";
import { keyForOnce, requireStripe } from "./stripeAccount.ts";
import { syncCards } from "./sync/syncCards.ts";

/** Makes a card the one that subscriptions and invoices are charged to. @throws TollgateError UNAUTHORIZED, NOT_FOUND, UNAVAILABLE */
export async function setDefaultCard({ ctx, input }: PaymentsVerb<z.output<typeof cardInput>>): Promise<Done> {
  const { billingAccountId, cardId } = input;
  await requireAccountAdmin(ctx, billingAccountId);
  const { client } = requireStripe(ctx);
  const { stripeCustomerId } = await requireOwnCard(ctx, billingAccountId, cardId);
  await askStripe(() =>
    client.customers.update(
      stripeCustomerId,
      { invoice_settings: { default_payment_method: cardId } },
      { idempotencyKey: keyForOnce("default-card") },
    ),
  );
  await syncCards(ctx, stripeCustomerId);
  await withTransaction(ctx, async (ctx) => {
    await writeAudit(ctx, { action: "payments.setDefaultCard", subject: billingAccountId, after: { cardId } });
    await appendEvent(ctx, paymentsDefaultCardChanged, { billingAccountId, cardId });
  });
  return { ok: true };
}
