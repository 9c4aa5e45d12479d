import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** A day after sign-up. */
export const welcome = defineTemplate({
  data: z.object({ gatewayUrl: z.url(), referenceUrl: z.url() }),
  isOptional: true,
  compose: ({ gatewayUrl, referenceUrl }) => ({
    subject: "Your first call",
    heading: "Your first call",
    blocks: [
      {
        kind: "text",
        text: "Thank you for signing up. Your default project is ready, and a paid call is three steps away:",
      },
      { kind: "text", text: "1. Generate an API key in your project. It is shown once." },
      { kind: "text", text: `2. Send it as a bearer token to ${gatewayUrl}/v1/<api>/<endpoint>.` },
      { kind: "text", text: "3. Watch the call, its price and your balance arrive on the dashboard." },
      { kind: "button", label: "Read the reference", url: referenceUrl },
      { kind: "note", text: "You get this mail once, because you created an account." },
    ],
  }),
});
