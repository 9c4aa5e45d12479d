import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Asks somebody to join a project. */
export const invite = defineTemplate({
  data: z.object({
    projectName: z.string(),
    /** Who invites, by name or address. */
    inviter: z.string(),
    role: z.string(),
    acceptUrl: z.url(),
    days: z.int(),
  }),
  compose: ({ projectName, inviter, role, acceptUrl, days }) => ({
    subject: `Join ${oneLine(projectName)}`,
    heading: `Join ${oneLine(projectName)}`,
    blocks: [
      {
        kind: "text",
        text: `${oneLine(inviter)} invites you to the project ${oneLine(projectName)} as ${role}.`,
      },
      { kind: "button", label: "See the invitation", url: acceptUrl },
      { kind: "text", text: `It is for this email address alone and is open for ${days} days.` },
      { kind: "note", text: "If you do not know who invites you, ignore this mail: nothing happens." },
    ],
  }),
});

/** Names are what people typed: in a subject they must not begin a line. */
const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();
