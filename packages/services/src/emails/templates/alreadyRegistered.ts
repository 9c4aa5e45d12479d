import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** What the owner of an address gets when somebody signs up with it again; the one who asked learns nothing. */
export const alreadyRegistered = defineTemplate({
  data: z.object({}),
  compose: () => ({
    subject: "You already have an account",
    heading: "You already have an account",
    blocks: [
      {
        kind: "text",
        text: "Somebody, probably you, asked to sign up with this email address. It has an account already.",
      },
      {
        kind: "text",
        text: "Sign in with your password. If you have forgotten it, you can reset it from the sign-in page.",
      },
      { kind: "note", text: "If it was not you, ignore this mail: nobody learned that the account exists." },
    ],
  }),
});
