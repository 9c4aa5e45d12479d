import { deleteTenantDataJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, isNull, lte, or } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { requireService } from "../../permissions.ts";

const BATCH_MAX = 500;

/**
 * Orders the deletions that are due and have nobody at them. @returns how many
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sweepTenantData({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<{ readonly ordered: number }> {
  requireService(ctx);
  const { dataDeletions } = schema;
  const now = ctx.clock.now();
  return withTransaction(
    ctx,
    async (ctx) => {
      const due = await ctx.db
        .select({ id: dataDeletions.id })
        .from(dataDeletions)
        .where(
          and(
            eq(dataDeletions.status, "pending"),
            lte(dataDeletions.nextAttemptAt, now),
            or(isNull(dataDeletions.claimedUntil), lte(dataDeletions.claimedUntil, now)),
          ),
        )
        .orderBy(asc(dataDeletions.nextAttemptAt), asc(dataDeletions.id))
        .limit(BATCH_MAX);
      for (const { id } of due) await appendJob(ctx, deleteTenantDataJob, { deletionId: id });
      return { ordered: due.length };
    },
    { isIdempotent: true },
  );
}
