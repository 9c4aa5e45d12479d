import type { PaymentStatus } from "@tollgate/contracts";
import type Stripe from "stripe";
import { z } from "zod";
import { METADATA } from "../stripeCustomer.ts";

/**
 * What of a payment intent matters here. A field that Stripe has moved or left out is an error, and never nothing or zero.
 */
const factsSchema = z.object({
  id: z.string(),
  status: z.enum([
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
  ]),
  amount: z.int(),
  amount_received: z.int(),
  currency: z.string(),
  client_secret: z.string().nullable(),
  created: z.int(),
  customer: z.string().nullable(),
  payment_method: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  last_payment_error: z
    .object({ code: z.string().optional(), decline_code: z.string().optional(), message: z.string().optional() })
    .nullable(),
  latest_charge: z.object({ id: z.string(), receipt_url: z.string().nullable() }).nullable(),
});
export type PaymentFacts = z.infer<typeof factsSchema>;

/** What must be expanded for {@link readPaymentFacts}. */
export const PAYMENT_EXPANSIONS = ["latest_charge"];

/** @throws ZodError that names the field that is not what it should be */
export const readPaymentFacts = (intent: Stripe.PaymentIntent): PaymentFacts => factsSchema.parse(intent);

/** Whose payment it is: by what this system wrote on it, never by its description. Undefined if it is none of ours. */
export function ownerOf(
  metadata: Readonly<Record<string, string>>,
): { readonly paymentId: string; readonly billingAccountId: string } | undefined {
  const paymentId = metadata[METADATA.paymentId];
  const billingAccountId = metadata[METADATA.billingAccountId];
  return paymentId === undefined || billingAccountId === undefined ? undefined : { paymentId, billingAccountId };
}

/** What an intent's state is for us. Asking for another card after a refusal is a failure, and may still succeed. */
export function statusOf(facts: PaymentFacts): PaymentStatus {
  switch (facts.status) {
    case "succeeded":
    case "canceled":
    case "requires_action":
      return facts.status;
    case "requires_payment_method":
      return facts.last_payment_error === null ? "pending" : "failed";
    default:
      return "pending";
  }
}
