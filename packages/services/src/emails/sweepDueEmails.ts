import { emailsSend } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, inArray, isNull, lte, or } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const BATCH_MAX = 200;
/** A mail that was queued a moment ago has a job on its way. */
const FRESH_MS = 30_000;
/** A mail that was cancelled is of no use to anybody; decoys are cancelled from the start. */
const CANCELLED_KEPT_MS = 24 * 3_600_000;

/**
 * Orders the mails that are due: those for later, those to be tried again, and those whose job has gone with the queue.
 * A mail that has a job already gets no second one, because the job's id is the mail's. Cancelled mails are forgotten
 * after a day.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sweepDueEmails({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly ordered: number }> {
  requireService(ctx);
  const { emails } = schema;
  const now = ctx.clock.now();
  return withTransaction(
    ctx,
    async (ctx) => {
      const due = await ctx.db
        .select({ id: emails.id })
        .from(emails)
        .where(
          and(
            eq(emails.status, "queued"),
            lte(emails.sendAt, now),
            lte(emails.createdAt, new Date(now.getTime() - FRESH_MS)),
            or(isNull(emails.claimedUntil), lte(emails.claimedUntil, now)),
          ),
        )
        .orderBy(asc(emails.sendAt), asc(emails.id))
        .limit(BATCH_MAX);
      for (const { id } of due) await appendJob(ctx, emailsSend, { emailId: id });
      await forgetCancelled(ctx);
      return { ordered: due.length };
    },
    { isIdempotent: true },
  );
}

async function forgetCancelled(ctx: ServiceContext): Promise<void> {
  const { emails } = schema;
  const before = new Date(ctx.clock.nowMs() - CANCELLED_KEPT_MS);
  const over = await ctx.db
    .select({ id: emails.id })
    .from(emails)
    .where(and(eq(emails.status, "cancelled"), lte(emails.createdAt, before)))
    .limit(BATCH_MAX);
  const ids = over.map((row) => row.id);
  if (ids.length > 0) await ctx.db.delete(emails).where(inArray(emails.id, ids));
}
