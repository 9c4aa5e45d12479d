import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Proves an address at sign-up. The code comes first, so that it can be read in a notification. */
export const verification = defineTemplate({
  data: z.object({ code: z.string(), minutes: z.int() }),
  compose: ({ code, minutes }) => ({
    subject: `${code} is your verification code`,
    heading: "Your verification code",
    blocks: [
      { kind: "code", code },
      { kind: "text", text: `Enter it to finish signing up. It works once, within ${minutes} minutes.` },
      { kind: "note", text: "If you did not ask for it, ignore this mail: nothing happens without the code." },
    ],
  }),
});
