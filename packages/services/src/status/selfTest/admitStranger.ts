import { emailInput, projectsMemberJoined } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, desc, eq } from "drizzle-orm";
import { z } from "zod";
import type { ServiceContext, Verb } from "../../context.ts";
import { findCustomer } from "../../customers/internal.ts";
import { INTERNAL_DOMAIN, isInternalAddress } from "../../customers/internalAddress.ts";
import { unsealData } from "../../emails/internal.ts";
import { requireService } from "../../permissions.ts";

const { emails, projectMembers } = schema;
const ROLE = "developer";

export const strangerInput = z.object({
  email: emailInput.refine(isInternalAddress, { error: `Must be an address of ${INTERNAL_DOMAIN}` }),
  projectId: z.string(),
});

/**
 * Takes a stranger of the self-test, who has asked for a code and not used it yet, into the project that lasts, and reads
 * the code out of the mail that nobody will get. It opens mails to the product's own people and to nobody else.
 * @returns the code
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker; NOT_FOUND when there is no such stranger or mail
 */
export async function admitStranger({ ctx, input }: Verb<z.output<typeof strangerInput>>): Promise<string> {
  requireService(ctx);
  const { email, projectId } = strangerInput.parse(input);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, { email });
      if (customer === undefined || !customer.isInternal) throw notFound("customer");
      const { id: customerId } = customer;
      const joined = await ctx.db
        .insert(projectMembers)
        .values({ projectId, customerId, role: ROLE, createdAt: ctx.clock.now() })
        .onConflictDoNothing()
        .returning({ customerId: projectMembers.customerId });
      if (joined.length > 0) {
        await writeAudit(ctx, { action: "status.selfTest", subject: customerId, after: { projectId, role: ROLE } });
        await appendEvent(ctx, projectsMemberJoined, { projectId, customerId, role: ROLE });
      }
      return readCode(ctx, email);
    },
    { isIdempotent: true },
  );
}

async function readCode(ctx: ServiceContext, email: string): Promise<string> {
  const [mail] = await ctx.db
    .select({ data: emails.data })
    .from(emails)
    .where(and(eq(emails.recipient, email), eq(emails.template, "verification")))
    .orderBy(desc(emails.createdAt))
    .limit(1);
  if (mail === undefined) throw notFound("email");
  return z.object({ code: z.string() }).parse(unsealData(ctx.settings.masterSecret, mail.data)).code;
}
