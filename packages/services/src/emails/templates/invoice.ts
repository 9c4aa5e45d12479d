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
    invoiceUrl: z.url(),
  }),
  compose: ({ invoiceNumber, accountName, period, total, isPaid, invoiceUrl }) => ({
    subject: `Invoice ${invoiceNumber} over ${total}`,
    heading: `Invoice ${invoiceNumber}`,
    blocks: [
      { kind: "text", text: `For the account ${accountName}, for ${period}: ${total}.` },
      { kind: "text", text: isPaid ? "It is paid; there is nothing to do." : "It is charged to your default card." },
      { kind: "button", label: "See the invoice", url: invoiceUrl },
    ],
  }),
});
