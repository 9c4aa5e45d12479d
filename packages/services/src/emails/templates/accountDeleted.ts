import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Confirms that an account is gone, and says when its data will be. */
export const accountDeleted = defineTemplate({
  /** The day on which the data is erased, as people read it. */
  data: z.object({ erasedOn: z.string() }),
  compose: ({ erasedOn }) => ({
    subject: "Your account was deleted",
    heading: "Your account was deleted",
    blocks: [
      {
        kind: "text",
        text: "Your account was deleted. Every device was signed out, and the keys of the projects that only you owned have stopped.",
      },
      {
        kind: "text",
        text: `Personal data will be erased on ${erasedOn}. Records of payments are kept, without personal data.`,
      },
      { kind: "note", text: "If it was not you, write to the operator of this service before that day." },
    ],
  }),
});
