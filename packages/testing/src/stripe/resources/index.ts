import type { Route } from "../http/route.ts";
import { eventRoutes, portalRoutes, testClockRoutes, webhookEndpointRoutes } from "./account.ts";
import { balanceRoutes, chargeRoutes, disputeRoutes, refundRoutes } from "./charges.ts";
import { checkoutRoutes } from "./checkoutSessions.ts";
import { creditNoteRoutes } from "./creditNotes.ts";
import { customerRoutes } from "./customers.ts";
import { invoiceItemRoutes, invoiceRoutes } from "./invoices.ts";
import { paymentIntentRoutes } from "./paymentIntents.ts";
import { paymentMethodRoutes } from "./paymentMethods.ts";
import { planRoutes, priceRoutes, productRoutes } from "./products.ts";
import { setupIntentRoutes } from "./setupIntents.ts";
import { subscriptionRoutes } from "./subscriptions.ts";

/** Everything that can be asked for. */
export const ROUTES: readonly Route[] = [
  ...customerRoutes,
  ...paymentMethodRoutes,
  ...setupIntentRoutes,
  ...paymentIntentRoutes,
  ...chargeRoutes,
  ...refundRoutes,
  ...disputeRoutes,
  ...balanceRoutes,
  ...productRoutes,
  ...priceRoutes,
  ...planRoutes,
  ...subscriptionRoutes,
  ...invoiceRoutes,
  ...invoiceItemRoutes,
  ...creditNoteRoutes,
  ...checkoutRoutes,
  ...portalRoutes,
  ...eventRoutes,
  ...webhookEndpointRoutes,
  ...testClockRoutes,
];
