import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells the admins of a billing account that its credit is used up. */
export const exhaustedBalance = defineTemplate({
  data: z.object({ accountName: z.string(), dashboardUrl: z.url() }),
  isOptional: true,
  compose: ({ accountName, dashboardUrl }) => ({
    subject: "Your balance is used up",
    heading: "Your balance is used up",
    blocks: [
      {
        kind: "text",
        text: `The account ${accountName} has no credit left. Calls that cost are refused until credit is added; free calls go on.`,
      },
      { kind: "button", label: "Add credit", url: dashboardUrl },
      { kind: "note", text: "An automatic top-up adds credit before it runs out." },
    ],
  }),
});
