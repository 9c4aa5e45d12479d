import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells whoever is responsible for a webhook endpoint that it was switched off. */
export const webhookDisabled = defineTemplate({
  data: z.object({ host: z.string(), reason: z.enum(["gone", "failing"]), dashboardUrl: z.url() }),
  compose: ({ host, reason, dashboardUrl }) => ({
    subject: `Webhooks to ${host} are switched off`,
    heading: "A webhook endpoint was switched off",
    blocks: [
      {
        kind: "text",
        text:
          reason === "gone"
            ? `Your endpoint at ${host} answered 410 Gone, which says that it wants no more events.`
            : `Nothing got through to your endpoint at ${host} for five days.`,
      },
      {
        kind: "text",
        text: "It is told of nothing new. Once it works, switch it on again: what has been waiting there for less than four days is sent then.",
      },
      { kind: "button", label: "Look at its deliveries", url: dashboardUrl },
    ],
  }),
});
