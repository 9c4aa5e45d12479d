import { createHash } from "node:crypto";
import type { reportBounceInput, Suppression, suppressEmailInput } from "@tollgate/contracts";
import { emailsSuppressed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, ne } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdmin, requireService } from "../permissions.ts";

const { emailSuppressions } = schema;
type SuppressionRow = typeof emailSuppressions.$inferSelect;

/**
 * Stops mails to an address, for operators; mails that are queued are not sent either. Suppressing again with another
 * reason changes the reason. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function suppressEmail({ ctx, input }: Verb<z.output<typeof suppressEmailInput>>): Promise<Suppression> {
  requireAdmin(ctx);
  return withTransaction(ctx, (ctx) => suppress(ctx, input.email, input.reason), { isIdempotent: true });
}

/** A mailbox that does not exist gets no more mails; the work of whoever was told so. */
export async function suppressBounced(ctx: ServiceContext, email: string): Promise<void> {
  await withTransaction(ctx, (ctx) => suppress(ctx, email, "bounce"), { isIdempotent: true });
}

/**
 * What a mail provider says of an address, for the service that listens to it: a bounce for good or a complaint. No more
 * mails go there. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function reportBounce({ ctx, input }: Verb<z.output<typeof reportBounceInput>>): Promise<Suppression> {
  requireService(ctx);
  return withTransaction(ctx, (ctx) => suppress(ctx, input.email, input.reason), { isIdempotent: true });
}

async function suppress(ctx: ServiceContext, email: string, reason: SuppressionRow["reason"]): Promise<SuppressionRow> {
  const now = ctx.clock.now();
  const [changed] = await ctx.db
    .insert(emailSuppressions)
    .values({ email, reason, createdAt: now })
    .onConflictDoUpdate({
      target: emailSuppressions.email,
      set: { reason, createdAt: now },
      setWhere: ne(emailSuppressions.reason, reason),
    })
    .returning();
  if (changed !== undefined) {
    await writeAudit(ctx, { action: "emails.suppress", subject: addressSubject(email), after: { reason } });
    await appendEvent(ctx, emailsSuppressed, { reason });
    return changed;
  }
  const [present] = await ctx.db
    .select()
    .from(emailSuppressions)
    .where(and(eq(emailSuppressions.email, email), eq(emailSuppressions.reason, reason)));
  if (present === undefined) throw new Error("A suppression that stood in the way cannot be found");
  return present;
}

/** An address as the audit names it: whoever knows the address finds the row, and nobody reads one there. */
export const addressSubject = (email: string): string =>
  `email:${createHash("sha256").update(email).digest("base64url").slice(0, 22)}`;
