import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells the owner of an account that its password is another one now. */
export const passwordChanged = defineTemplate({
  data: z.object({ recoverUrl: z.url() }),
  compose: ({ recoverUrl }) => ({
    subject: "Your password was changed",
    heading: "Your password was changed",
    blocks: [
      { kind: "text", text: "The password of your account was changed, and every device was signed out." },
      { kind: "text", text: "If it was you, there is nothing to do." },
      { kind: "text", text: "If it was not you, reset your password now and look through your API keys." },
      { kind: "button", label: "Reset your password", url: recoverUrl },
    ],
  }),
});
