import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Proves the address that an account is to have from now on; goes to that address. */
export const emailChange = defineTemplate({
  data: z.object({ code: z.string(), minutes: z.int() }),
  compose: ({ code, minutes }) => ({
    subject: `${code} confirms your new address`,
    heading: "Confirm your new address",
    blocks: [
      { kind: "code", code },
      {
        kind: "text",
        text: `Enter it to make this the email address of your account. It works once, within ${minutes} minutes.`,
      },
      { kind: "note", text: "If you did not ask for it, ignore this mail: nothing changes without the code." },
    ],
  }),
});
