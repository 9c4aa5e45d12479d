import {
  accountPaymentsInput,
  cardInput,
  cardList,
  cardSetupDto,
  chargeCardInput,
  chargeDto,
  checkoutDto,
  createCheckoutInput,
  doneDto,
  listDifferencesInput,
  listPaymentsInput,
  paymentDifferencePage,
  paymentDto,
  paymentIdInput,
  paymentPage,
  portalDto,
  refundInput,
} from "@tollgate/contracts";
import {
  chargeCard,
  createCheckoutSession,
  deleteCard,
  getPayment,
  listCards,
  listDifferences,
  listPayments,
  openPortal,
  refundPayment,
  setDefaultCard,
  setupCard,
} from "@tollgate/services/payments";
import { adminProcedure, authenticatedProcedure, customerProcedure, router } from "./trpc.ts";

/** Cards, and money that comes in for credit. */
export const paymentsRouter = router({
  setupCard: customerProcedure
    .meta({
      description:
        "Begins to save a card: a page gives the client secret to Stripe's library, which asks for the card.",
    })
    .input(accountPaymentsInput)
    .output(cardSetupDto)
    .mutation(({ ctx, input }) => setupCard({ ctx, input })),

  createCheckoutSession: customerProcedure
    .meta({
      description: "A page of Stripe's where somebody pays for credit, or only saves a card.",
      example: { amountCents: 2500 },
    })
    .input(createCheckoutInput)
    .output(checkoutDto)
    .mutation(({ ctx, input }) => createCheckoutSession({ ctx, input })),

  listCards: authenticatedProcedure
    .meta({ description: "The account's cards, newest first." })
    .input(accountPaymentsInput)
    .output(cardList)
    .query(({ ctx, input }) => listCards({ ctx, input })),

  setDefaultCard: customerProcedure
    .meta({ description: "Makes a card the one that subscriptions and invoices are charged to." })
    .input(cardInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => setDefaultCard({ ctx, input })),

  chargeCard: customerProcedure
    .meta({
      description:
        "Buys credit with a saved card. When the bank wants to ask the cardholder, the answer has a client secret for Stripe's library. The same idempotency key again is the same payment.",
    })
    .input(chargeCardInput)
    .output(chargeDto)
    .mutation(({ ctx, input }) => chargeCard({ ctx, input })),

  listPayments: authenticatedProcedure
    .meta({ description: "The account's payments, newest first." })
    .input(listPaymentsInput)
    .output(paymentPage)
    .query(({ ctx, input }) => listPayments({ ctx, input })),

  getPayment: authenticatedProcedure
    .meta({ description: "One payment of an account: its amount, its state and what was refunded of it." })
    .input(paymentIdInput)
    .output(paymentDto)
    .query(({ ctx, input }) => getPayment({ ctx, input })),

  refund: adminProcedure
    .meta({ description: "Gives money back, all of a payment or a part; the credit goes with it." })
    .input(refundInput)
    .output(paymentDto)
    .mutation(({ ctx, input }) => refundPayment({ ctx, input })),

  portalUrl: customerProcedure
    .meta({ description: "A page of Stripe's with the account's cards and invoices; good for some minutes." })
    .input(accountPaymentsInput)
    .output(portalDto)
    .mutation(({ ctx, input }) => openPortal({ ctx, input })),

  listDifferences: adminProcedure
    .meta({ description: "Where this deployment and Stripe disagreed about a payment, newest first." })
    .input(listDifferencesInput)
    .output(paymentDifferencePage)
    .query(({ ctx, input }) => listDifferences({ ctx, input })),

  deleteCard: customerProcedure
    .meta({ description: "Takes a card off for good." })
    .input(cardInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => deleteCard({ ctx, input })),
});
