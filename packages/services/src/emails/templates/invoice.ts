import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** An invoice that has been made. Amounts are written out, with their currency. */
export const invoice = defineTemplate({
  data: z.object({
    invoiceNumber: z.string(),
    accountName: z.string(),
    period: z.string(),
    total: z.string(),
    isPaid: z.boolean(),
    /** What is still to be paid of the total, where that is not all of it. */
    due: z.string().optional(),
    /** The document goes along with the mail. */
    isAttached: z.boolean().default(false),
    invoiceUrl: z.url(),
  }),
  compose: ({ invoiceNumber, accountName, period, total, isPaid, due, isAttached, invoiceUrl }) => ({
    subject: `Invoice ${invoiceNumber} over ${total}`,
    heading: `Invoice ${invoiceNumber}`,
    blocks: [
      { kind: "text", text: `For the account ${accountName}, for ${period}: ${total}.` },
      {
        kind: "text",
        text: isPaid
          ? "It is paid; there is nothing to do."
          : `${due ?? total} of it is due, and is charged to your default card.`,
      },
      ...(isAttached ? [{ kind: "text", text: "The invoice is attached as a PDF." } as const] : []),
      { kind: "button", label: "See the invoice", url: invoiceUrl },
    ],
  }),
});
