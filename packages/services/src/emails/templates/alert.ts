import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** An alert that fires, or is over. */
export const alert = defineTemplate({
  data: z.object({ title: z.string(), text: z.string(), isResolved: z.boolean(), dashboardUrl: z.url() }),
  isOptional: true,
  compose: ({ title, text, isResolved, dashboardUrl }) => ({
    subject: `${isResolved ? "Over" : "Alert"}: ${title}`,
    heading: isResolved ? `${title}: it is over` : title,
    blocks: [
      { kind: "text", text },
      { kind: "button", label: "Open the dashboard", url: dashboardUrl },
    ],
  }),
});
