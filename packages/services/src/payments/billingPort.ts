import type { PaymentsContext } from "./stripeAccount.ts";

/**
 * What payments hands on: subscriptions and invoices are billing's to follow. Each asks Stripe for the object as it is
 * now and makes ours like that, and answers whether it is one of this deployment's.
 */
export interface BillingPort {
  syncSubscription(ctx: PaymentsContext, stripeSubscriptionId: string): Promise<boolean>;
  syncStripeInvoice(ctx: PaymentsContext, stripeInvoiceId: string): Promise<boolean>;
}

/** A deployment that sells credit and no subscriptions: nothing at Stripe is one of its own. */
export const NO_BILLING_PORT: BillingPort = {
  syncSubscription: async () => false,
  syncStripeInvoice: async () => false,
};
