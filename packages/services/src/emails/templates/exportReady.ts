import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** A link to everything that is held about a person. */
export const exportReady = defineTemplate({
  data: z.object({ downloadUrl: z.url(), hours: z.int() }),
  compose: ({ downloadUrl, hours }) => ({
    subject: "Your data is ready",
    heading: "Your data is ready",
    blocks: [
      { kind: "text", text: "You asked for a copy of everything that is held about you. It is a JSON file." },
      { kind: "button", label: "Download your data", url: downloadUrl },
      { kind: "text", text: `The link works for ${hours} hours. Whoever has it can download the file.` },
      { kind: "note", text: "If you did not ask for it, somebody is signed in to your account: reset your password." },
    ],
  }),
});
