import { schema } from "@tollgate/db";
import { and, eq, lte } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findCustomer } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/**
 * Mails, codes, visits and everything else that is kept under the address. The same person may have signed up with it
 * again since: then what came after the deletion, and what is kept for an address and not for an account, is theirs.
 */
export async function eraseEmails(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { emailSuppressions, emails, projectInvites, verifications, visits, waitlist } = schema;
  const { email, id } = customer;
  const until = customer.deletedAt ?? ctx.clock.now();
  const erased = await ctx.db
    .delete(emails)
    .where(and(eq(emails.recipient, email), lte(emails.createdAt, until)))
    .returning({ id: emails.id });
  await ctx.db.delete(verifications).where(eq(verifications.customerId, id));
  const hasNewAccount = (await findCustomer(ctx, { email })) !== undefined;
  if (!hasNewAccount) {
    await ctx.db.delete(verifications).where(eq(verifications.email, email));
    await ctx.db.delete(projectInvites).where(eq(projectInvites.email, email));
    await ctx.db.delete(visits).where(eq(visits.email, email));
    await ctx.db.delete(waitlist).where(eq(waitlist.email, email));
    await ctx.db.delete(emailSuppressions).where(eq(emailSuppressions.email, email));
  }
  return { emails: erased.length, hasNewAccount };
}
