import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** A credit note that has been made. Amounts are written out, with their currency. */
export const creditNote = defineTemplate({
  data: z.object({
    creditNoteNumber: z.string(),
    accountName: z.string(),
    total: z.string(),
    reason: z.string(),
    invoiceUrl: z.url(),
  }),
  compose: ({ creditNoteNumber, accountName, total, reason, invoiceUrl }) => ({
    subject: `Credit note ${creditNoteNumber} over ${total}`,
    heading: `Credit note ${creditNoteNumber}`,
    blocks: [
      { kind: "text", text: `${total} was credited to the account ${accountName}: ${reason}` },
      { kind: "text", text: "There is nothing to do. The credit note is attached as a PDF." },
      { kind: "button", label: "See the credit note", url: invoiceUrl },
    ],
  }),
});
