import {
  doneDto,
  emailDto,
  emailPage,
  listSentInput,
  reportBounceInput,
  sendEmailInput,
  suppressEmailInput,
  suppressionDto,
  unsuppressEmailInput,
} from "@tollgate/contracts";
import { listSentEmails, orderEmail, reportBounce, suppressEmail, unsuppressEmail } from "@tollgate/services/emails";
import { adminProcedure, router, serviceProcedure } from "./trpc.ts";

/** Mails: ordered by services, watched by operators. */
export const emailsRouter = router({
  send: serviceProcedure
    .meta({
      description: "Sends a mail from a template, now or later, once for an idempotency key.",
      example: { template: "verification", to: "ann@example.com", data: { code: "K7QX2M9P", minutes: 5 } },
    })
    .input(sendEmailInput)
    .output(emailDto)
    .mutation(({ ctx, input }) => orderEmail({ ctx, input })),

  listSent: adminProcedure
    .meta({ description: "Mails and what became of them, newest first. What they said is not kept." })
    .input(listSentInput)
    .output(emailPage)
    .query(({ ctx, input }) => listSentEmails({ ctx, input })),

  suppress: adminProcedure
    .meta({ description: "Stops mails to an address; for `unsubscribe` only those that one may unsubscribe from." })
    .input(suppressEmailInput)
    .output(suppressionDto)
    .mutation(({ ctx, input }) => suppressEmail({ ctx, input })),

  reportBounce: serviceProcedure
    .meta({ description: "What a mail provider says of an address: no more mails go there." })
    .input(reportBounceInput)
    .output(suppressionDto)
    .mutation(({ ctx, input }) => reportBounce({ ctx, input })),

  unsuppress: adminProcedure
    .meta({ description: "Lets an address get mails again." })
    .input(unsuppressEmailInput)
    .output(doneDto)
    .mutation(({ ctx, input }) => unsuppressEmail({ ctx, input })),
});
