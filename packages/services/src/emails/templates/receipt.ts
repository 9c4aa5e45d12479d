import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Says that a payment has come in and is credit now. */
export const receipt = defineTemplate({
  data: z.object({
    /** With its currency, as people write it. */
    amount: z.string(),
    accountName: z.string(),
    paymentId: z.string(),
    /** The payment provider's own receipt, where there is one. */
    receiptUrl: z.url().nullable(),
    dashboardUrl: z.url(),
  }),
  compose: ({ amount, accountName, paymentId, receiptUrl, dashboardUrl }) => ({
    subject: `Receipt for ${amount}`,
    heading: `Thank you for your payment of ${amount}`,
    blocks: [
      { kind: "text", text: `It was added to the credit of ${accountName}.` },
      receiptUrl === null
        ? { kind: "button", label: "Open the dashboard", url: dashboardUrl }
        : { kind: "button", label: "See the receipt", url: receiptUrl },
      { kind: "note", text: `Payment ${paymentId}` },
    ],
  }),
});
