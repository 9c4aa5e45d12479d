import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells the owners of a project that one of its keys was found where others can read it, and is revoked. */
export const keyLeaked = defineTemplate({
  data: z.object({
    keyName: z.string(),
    /** The first characters of the key, by which it is recognised. */
    keyStart: z.string(),
    projectName: z.string(),
    dashboardUrl: z.url(),
  }),
  compose: ({ keyName, keyStart, projectName, dashboardUrl }) => ({
    subject: `Your API key ${keyStart}… was leaked and is revoked`,
    heading: "An API key was leaked",
    blocks: [
      {
        kind: "text",
        text: `The key "${keyName}" (${keyStart}…) of the project ${projectName} was found in a place that others can read. It was revoked at once: every call with it is refused.`,
      },
      {
        kind: "text",
        text: "Generate a new key, put it where the old one was used, and take the old one out of there.",
      },
      { kind: "text", text: "Look at the last calls of the old key: what you do not recognise was not yours." },
      { kind: "button", label: "Open the dashboard", url: dashboardUrl },
    ],
  }),
});
