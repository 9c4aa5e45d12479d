import { eraseCustomerJob, exportCustomerJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import type { SQL } from "drizzle-orm";
import { and, asc, eq, inArray, isNull, lte, or } from "drizzle-orm";
import type { AnyPgColumn, AnyPgTable } from "drizzle-orm/pg-core";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const BATCH_MAX = 500;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** An order that was given a moment ago has a job on its way. */
const FRESH_MS = 60_000;
/** The longest that a throttle remembers is an hour. */
const THROTTLE_KEPT_MS = DAY_MS;
/** A session that is over proves for a while that a spent refresh token was one of ours. */
const SESSION_KEPT_MS = 30 * DAY_MS;
const { customerExports, erasures, sessions, throttles, verifications } = schema;

/**
 * The ten-minutely sweep: orders erasures and exports whose job is due or has gone, and forgets sessions, codes, links
 * and throttles that have run out. @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sweepCustomers({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<{ readonly ordered: number; readonly forgotten: number }> {
  requireService(ctx);
  const ordered = await withTransaction(ctx, orderDue, { isIdempotent: true });
  const nowMs = ctx.clock.nowMs();
  const ago = (ms: number): Date => new Date(nowMs - ms);
  const { id: sessionId, expiresAt, revokedAt } = sessions;
  const forgotten =
    (await forget(
      ctx,
      sessions,
      sessionId,
      or(lte(expiresAt, ago(SESSION_KEPT_MS)), lte(revokedAt, ago(SESSION_KEPT_MS))),
    )) +
    (await forget(ctx, verifications, verifications.id, lte(verifications.expiresAt, ago(DAY_MS)))) +
    (await forget(ctx, customerExports, customerExports.id, lte(customerExports.expiresAt, ago(DAY_MS)))) +
    (await forget(ctx, throttles, throttles.id, lte(throttles.updatedAt, ago(THROTTLE_KEPT_MS))));
  return { ordered, forgotten };
}

async function orderDue(ctx: ServiceContext): Promise<number> {
  const now = ctx.clock.now();
  const dueErasures = await ctx.db
    .select({ customerId: erasures.customerId })
    .from(erasures)
    .where(and(isNull(erasures.finishedAt), lte(erasures.dueAt, now)))
    .orderBy(asc(erasures.dueAt), asc(erasures.customerId))
    .limit(BATCH_MAX);
  for (const { customerId } of dueErasures) await appendJob(ctx, eraseCustomerJob, { customerId });
  const dueExports = await ctx.db
    .select({ id: customerExports.id })
    .from(customerExports)
    .where(
      and(eq(customerExports.status, "queued"), lte(customerExports.createdAt, new Date(now.getTime() - FRESH_MS))),
    )
    .orderBy(asc(customerExports.createdAt), asc(customerExports.id))
    .limit(BATCH_MAX);
  for (const { id } of dueExports) await appendJob(ctx, exportCustomerJob, { exportId: id });
  return dueErasures.length + dueExports.length;
}

/** Deletes what has run out, a batch a transaction, so that no transaction is long. */
async function forget(
  ctx: ServiceContext,
  table: AnyPgTable,
  key: AnyPgColumn,
  isOver: SQL | undefined,
): Promise<number> {
  let forgotten = 0;
  for (let batch = BATCH_MAX; batch === BATCH_MAX; forgotten += batch) {
    batch = await withTransaction(
      ctx,
      async (ctx) => {
        const over = await ctx.db.select({ key }).from(table).where(isOver).limit(BATCH_MAX);
        const keys = over.map((row) => row.key);
        if (keys.length > 0) await ctx.db.delete(table).where(and(inArray(key, keys), isOver));
        return keys.length;
      },
      { isIdempotent: true },
    );
  }
  return forgotten;
}
