import {
  addAccountAdminInput,
  billingAccountDto,
  cancelSubscriptionInput,
  closePeriodDto,
  closePeriodInput,
  doneDto,
  getInvoiceInput,
  invoiceAnswerDto,
  invoiceDto,
  invoicePage,
  issueCreditNoteInput,
  listInvoicesInput,
  pendingChargesDto,
  pendingChargesInput,
  readAccountInput,
  removeAccountAdminInput,
  resumeSubscriptionInput,
  subscribeTierInput,
  tierChangeDto,
  tierChangeInput,
  tierChangePreviewDto,
  tierDto,
  tierSubscriptionDto,
  updateAccountInput,
  voidInvoiceInput,
} from "@tollgate/contracts";
import {
  addAccountAdmin,
  cancelSubscription,
  closePeriod,
  getInvoice,
  issueCreditNote,
  listInvoices,
  listPendingCharges,
  listTiers,
  previewTierChange,
  readAccount,
  removeAccountAdmin,
  resumeSubscription,
  subscribeTier,
  updateAccount,
  voidInvoice,
} from "@tollgate/services/billing";
import { z } from "zod";
import { adminProcedure, authenticatedProcedure, customerProcedure, publicProcedure, router } from "./trpc.ts";

/** Tiers, subscriptions and invoices. */
export const billingRouter = router({
  listTiers: publicProcedure
    .meta({ description: "Every plan with its price, free calls and limits, cheapest first." })
    .output(z.object({ items: z.array(tierDto) }))
    .query(({ ctx }) => listTiers({ ctx })),

  readAccount: authenticatedProcedure
    .meta({ description: "A billing account with its tier and admins." })
    .input(readAccountInput)
    .output(billingAccountDto)
    .query(({ ctx, input }) => readAccount({ ctx, input })),

  updateAccount: authenticatedProcedure
    .meta({ description: "Changes the name, address, tax id and address for invoices, the time zone and the cadence." })
    .input(updateAccountInput)
    .output(billingAccountDto)
    .mutation(({ ctx, input }) => updateAccount({ ctx, input })),

  addAdmin: authenticatedProcedure
    .meta({ description: "Makes a person with a login here an admin of the billing account." })
    .input(addAccountAdminInput)
    .output(billingAccountDto)
    .mutation(({ ctx, input }) => addAccountAdmin({ ctx, input })),

  removeAdmin: authenticatedProcedure
    .meta({ description: "Takes an admin's rights to a billing account away; never the last one's." })
    .input(removeAccountAdminInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => removeAccountAdmin({ ctx, input })),

  previewTierChange: authenticatedProcedure
    .meta({
      description: "What another tier costs now, the credit that comes with it, and what the next period costs.",
    })
    .input(tierChangeInput)
    .output(tierChangePreviewDto)
    .query(({ ctx, input }) => previewTierChange({ ctx, input })),

  subscribeTier: customerProcedure
    .meta({ description: "Puts an account on a tier: a better one now, a cheaper one when the period ends." })
    .input(subscribeTierInput)
    .output(tierChangeDto)
    .mutation(({ ctx, input }) => subscribeTier({ ctx, input })),

  cancelSubscription: customerProcedure
    .meta({ description: "Ends what an account pays for its tier, with the period or now." })
    .input(cancelSubscriptionInput)
    .output(tierSubscriptionDto)
    .mutation(({ ctx, input }) => cancelSubscription({ ctx, input })),

  resumeSubscription: customerProcedure
    .meta({ description: "Takes a cancellation back, and pays what a renewal left open." })
    .input(resumeSubscriptionInput)
    .output(tierChangeDto)
    .mutation(({ ctx, input }) => resumeSubscription({ ctx, input })),

  listInvoices: authenticatedProcedure
    .meta({ description: "Invoices and credit notes of a billing account, newest first." })
    .input(listInvoicesInput)
    .output(invoicePage)
    .query(({ ctx, input }) => listInvoices({ ctx, input })),

  getInvoice: authenticatedProcedure
    .meta({ description: "An invoice with its lines, and as a document where HTML or PDF is asked for." })
    .input(getInvoiceInput)
    .output(invoiceAnswerDto)
    .query(({ ctx, input }) => getInvoice({ ctx, input })),

  closePeriod: adminProcedure
    .meta({ description: "Closes every period that had ended by an instant, each into one invoice." })
    .input(closePeriodInput)
    .output(closePeriodDto)
    .mutation(({ ctx, input }) => closePeriod({ ctx, input })),

  voidInvoice: adminProcedure
    .meta({ description: "Declares an invoice that is not paid void. It keeps its number." })
    .input(voidInvoiceInput)
    .output(invoiceDto)
    .mutation(({ ctx, input }) => voidInvoice({ ctx, input })),

  issueCreditNote: adminProcedure
    .meta({ description: "Takes something off an invoice: a document with its own number, and credit in the wallet." })
    .input(issueCreditNoteInput)
    .output(invoiceDto)
    .mutation(({ ctx, input }) => issueCreditNote({ ctx, input })),

  listPendingCharges: adminProcedure
    .meta({ description: "What an account used that is on no invoice yet." })
    .input(pendingChargesInput)
    .output(pendingChargesDto)
    .query(({ ctx, input }) => listPendingCharges({ ctx, input })),
});
