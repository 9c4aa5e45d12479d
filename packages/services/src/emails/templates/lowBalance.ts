import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells the admins of a billing account that its credit runs low. Amounts are written out, with their currency. */
export const lowBalance = defineTemplate({
  data: z.object({ accountName: z.string(), available: z.string(), threshold: z.string(), dashboardUrl: z.url() }),
  isOptional: true,
  compose: ({ accountName, available, threshold, dashboardUrl }) => ({
    subject: `Your balance is down to ${available}`,
    heading: "Your balance is low",
    blocks: [
      {
        kind: "text",
        text: `The account ${accountName} has ${available} left, which is less than ${threshold}.`,
      },
      { kind: "text", text: "When it is used up, paid calls are refused until credit is added." },
      { kind: "button", label: "Add credit", url: dashboardUrl },
      { kind: "note", text: "At which balance you get this mail is a setting of the account." },
    ],
  }),
});
