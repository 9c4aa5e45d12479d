import { askStripe } from "../askStripe.ts";
import type { BillingPort } from "../billingPort.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";

/**
 * A payment intent that is no payment for credit may be an invoice's: then billing follows the invoice.
 * @returns whether it was anything of this deployment's
 */
export async function followForeignPayment(
  ctx: PaymentsContext,
  paymentIntentId: string,
  billing: BillingPort,
): Promise<boolean> {
  const { client } = requireStripe(ctx);
  const found = await askStripe(() =>
    client.invoicePayments.list({ payment: { type: "payment_intent", payment_intent: paymentIntentId }, limit: 1 }),
  );
  const invoice = found.data[0]?.invoice;
  if (invoice === undefined) return false;
  return billing.syncStripeInvoice(ctx, typeof invoice === "string" ? invoice : (invoice.id ?? ""));
}
