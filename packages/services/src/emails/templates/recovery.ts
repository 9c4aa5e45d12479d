import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** A link to choose a new password. */
export const recovery = defineTemplate({
  data: z.object({ resetUrl: z.url(), minutes: z.int() }),
  compose: ({ resetUrl, minutes }) => ({
    subject: "Reset your password",
    heading: "Reset your password",
    blocks: [
      { kind: "text", text: "Somebody, probably you, asked to reset the password of your account." },
      { kind: "button", label: "Choose a new password", url: resetUrl },
      {
        kind: "text",
        text: `The link works once, within ${minutes} minutes. A new password signs you out on every device.`,
      },
      { kind: "note", text: "If it was not you, ignore this mail: your password stays as it is." },
    ],
  }),
});
