import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** What the owner of an address gets when another account is to have it; the one who asked learns nothing. */
export const emailInUse = defineTemplate({
  data: z.object({}),
  compose: () => ({
    subject: "This address has an account already",
    heading: "This address has an account already",
    blocks: [
      {
        kind: "text",
        text: "Somebody asked to make this the email address of another account. It has an account already, so nothing was changed.",
      },
      {
        kind: "text",
        text: "If it was you, sign in with this address, or delete the account that has it first.",
      },
      { kind: "note", text: "If it was not you, ignore this mail: nobody learned that the account exists." },
    ],
  }),
});
