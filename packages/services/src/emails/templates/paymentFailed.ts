import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** A payment that did not go through. Amounts are written out, with their currency. */
export const paymentFailed = defineTemplate({
  data: z.object({
    accountName: z.string(),
    amount: z.string(),
    /** What the bank says, in words for people. */
    why: z.string(),
    /** When it is tried again, written out; without it, it is not. */
    retriedOn: z.string().optional(),
    dashboardUrl: z.url(),
  }),
  compose: ({ accountName, amount, why, retriedOn, dashboardUrl }) => ({
    subject: `Your payment of ${amount} did not go through`,
    heading: "A payment did not go through",
    blocks: [
      { kind: "text", text: `We could not collect ${amount} for the account ${accountName}: ${why}` },
      {
        kind: "text",
        text:
          retriedOn === undefined
            ? "It is not tried again by itself. Look at your cards, and pay once more."
            : `It is tried again on ${retriedOn}. Look at your cards until then.`,
      },
      { kind: "button", label: "See payment methods", url: dashboardUrl },
    ],
  }),
});
