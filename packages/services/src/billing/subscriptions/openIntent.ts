import { z } from "zod";
import { askStripe } from "../../payments/askStripe.ts";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireStripe } from "../../payments/stripeAccount.ts";
import type { SubscriptionFacts } from "./planSubscription.ts";

/** How the payment of an open invoice stands. */
export interface OpenIntent {
  readonly status: string;
  readonly clientSecret: string | null;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
}

const intentSchema = z.object({
  status: z.string(),
  client_secret: z.string().nullable(),
  last_payment_error: z
    .object({ code: z.string().optional(), decline_code: z.string().optional(), message: z.string().optional() })
    .nullable(),
});

export async function readIntent(ctx: PaymentsContext, intentId: string): Promise<OpenIntent> {
  const { client } = requireStripe(ctx);
  const intent = intentSchema.parse(await askStripe(() => client.paymentIntents.retrieve(intentId)));
  const error = intent.last_payment_error;
  return {
    status: intent.status,
    clientSecret: intent.client_secret,
    failureCode: error === null ? null : (error.decline_code ?? error.code ?? "card_declined"),
    failureMessage: error?.message ?? null,
  };
}

/** The payment that a subscription's newest invoice waits for; undefined when it waits for none. */
export async function findOpenIntent(ctx: PaymentsContext, facts: SubscriptionFacts): Promise<OpenIntent | undefined> {
  const invoice = facts.latest_invoice;
  if (invoice?.status !== "open") return undefined;
  const intentId = invoice.payments.data[0]?.payment.payment_intent;
  return intentId === undefined ? undefined : readIntent(ctx, intentId);
}
