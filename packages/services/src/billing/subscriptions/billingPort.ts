import type { BillingPort } from "../../payments/billingPort.ts";
import { syncStripeInvoice } from "./syncStripeInvoice.ts";
import { syncSubscription } from "./syncSubscription.ts";

/** How payments hands on news of subscriptions and of their invoices. */
export const BILLING_PORT: BillingPort = {
  syncSubscription: async (ctx, stripeSubscriptionId) =>
    (await syncSubscription(ctx, stripeSubscriptionId)) !== undefined,
  syncStripeInvoice,
};
