import type { Charge, chargeCardInput } from "@tollgate/contracts";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe, cardRefused } from "./askStripe.ts";
import { chargePayment } from "./chargePayment.ts";
import { assertCurrency, claimPayment, toPayment } from "./internal.ts";
import { requireOwnCard } from "./requireOwnCard.ts";
import type { PaymentsContext, PaymentsVerb } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { syncPayment } from "./sync/syncPayment.ts";

/**
 * Buys credit with a saved card. The payment is written down first and charged under its own id, so the same idempotency
 * key again is the same payment: it answers what became of it and charges nothing.
 * @throws TollgateError UNAUTHORIZED; NOT_FOUND for an account or a card that is not theirs; PAYMENT_REQUIRED with the
 * bank's reason; BAD_REQUEST `foreign_currency`; CONFLICT `idempotency_key_reused`; UNAVAILABLE
 */
export async function chargeCard({ ctx, input }: PaymentsVerb<z.output<typeof chargeCardInput>>): Promise<Charge> {
  await requireAccountAdmin(ctx, input.billingAccountId);
  const { currency } = requireStripe(ctx);
  assertCurrency(input.currency, currency);
  await requireOwnCard(ctx, input.billingAccountId, input.cardId);
  const { row: payment } = await claimPayment(ctx, {
    billingAccountId: input.billingAccountId,
    kind: "card",
    amountCents: input.amountCents,
    currency,
    cardId: input.cardId,
    idempotencyKey: `card:${input.idempotencyKey}`,
    action: "payments.chargeCard",
  });
  const { row, clientSecret } =
    payment.stripePaymentIntentId === null && payment.status === "pending"
      ? await chargePayment(ctx, payment, { isOffSession: false })
      : await carryOn(ctx, payment.stripePaymentIntentId, payment);
  if (row.status === "failed")
    throw cardRefused(row.failureCode ?? "card_declined", row.failureMessage ?? "The card was declined");
  return { payment: toPayment(row), clientSecret };
}

type Paid = Awaited<ReturnType<typeof chargePayment>>;

/** A payment that an earlier request made: what has become of it. */
async function carryOn(ctx: PaymentsContext, intentId: string | null, payment: Paid["row"]): Promise<Paid> {
  if (intentId === null || payment.status === "succeeded") return { row: payment, clientSecret: null };
  const { client } = requireStripe(ctx);
  const row = (await syncPayment(ctx, intentId)) ?? payment;
  if (row.status !== "requires_action") return { row, clientSecret: null };
  const intent = await askStripe(() => client.paymentIntents.retrieve(intentId));
  return { row, clientSecret: intent.client_secret };
}
