import { z } from "zod";
import { defineTemplate } from "./template.ts";

/** Tells the old address that the account is about to get another one, or has got it. */
export const emailChangeNotice = defineTemplate({
  data: z.object({ newEmail: z.string(), hasHappened: z.boolean(), recoverUrl: z.url() }),
  compose: ({ newEmail, hasHappened, recoverUrl }) => ({
    subject: hasHappened ? "Your email address was changed" : "Your email address is about to change",
    heading: hasHappened ? "Your email address was changed" : "Your email address is about to change",
    blocks: [
      {
        kind: "text",
        text: hasHappened
          ? `Your account now belongs to ${newEmail}. Mails no longer come to this address.`
          : `Somebody, probably you, asked to change the email address of your account to ${newEmail}. It changes when the code that went there is entered.`,
      },
      { kind: "text", text: "If it was you, there is nothing to do." },
      hasHappened
        ? { kind: "note", text: "If it was not you, write to the operator of this service at once." }
        : {
            kind: "text",
            text: "If it was not you, somebody is signed in to your account: reset your password, which stops the change.",
          },
      ...(hasHappened ? [] : [{ kind: "button" as const, label: "Reset your password", url: recoverUrl }]),
    ],
  }),
});
