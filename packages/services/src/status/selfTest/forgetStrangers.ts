import { schema, withTransaction } from "@tollgate/db";
import { and, eq, inArray, isNotNull, lte, ne, or } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { markDeleted } from "../../customers/deleteCustomer.ts";
import { requireService } from "../../permissions.ts";
import { HOST_EMAIL } from "./prepareSelfTest.ts";

const BATCH_MAX = 20;
/** A walk that is older than this has ended, however it did. */
const ABANDONED_MS = 10 * 60_000;
const KEY_KEPT_MS = 24 * 3_600_000;
const { auditLog, billingAccounts, customers, erasureSteps, erasures, keyActivity, keys, notifications, projects } =
  schema;

/**
 * Strangers of the self-test leave nothing behind. One who could not delete their own account is deleted here; what stays
 * of people after an erasure (their bare row, its steps, the audit) goes too, because there never was a person; keys of
 * theirs go after a day. Usage and ledger stay, as for everybody.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function forgetStrangers({ ctx }: { readonly ctx: ServiceContext }): Promise<{ forgotten: number }> {
  requireService(ctx);
  await withTransaction(ctx, deleteAbandoned, { isIdempotent: true });
  const forgotten = await withTransaction(ctx, purgeErased, { isIdempotent: true });
  await withTransaction(ctx, purgeKeys, { isIdempotent: true });
  return { forgotten };
}

async function deleteAbandoned(ctx: ServiceContext): Promise<void> {
  const abandoned = await ctx.db
    .select()
    .from(customers)
    .where(
      and(
        eq(customers.isInternal, true),
        ne(customers.email, HOST_EMAIL),
        ne(customers.status, "deleted"),
        lte(customers.createdAt, new Date(ctx.clock.nowMs() - ABANDONED_MS)),
      ),
    )
    .limit(BATCH_MAX);
  for (const customer of abandoned) await markDeleted(ctx, customer, { force: true });
}

async function purgeErased(ctx: ServiceContext): Promise<number> {
  const rows = await ctx.db
    .select({ id: customers.id })
    .from(customers)
    .innerJoin(erasures, eq(erasures.customerId, customers.id))
    .where(and(eq(customers.isInternal, true), isNotNull(erasures.finishedAt)))
    .limit(BATCH_MAX);
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return 0;
  const actors = ids.map((id) => `customer:${id}`);
  await ctx.db.delete(auditLog).where(or(inArray(auditLog.actor, actors), inArray(auditLog.subject, ids)));
  await ctx.db.delete(notifications).where(inArray(notifications.customerId, ids));
  await ctx.db.delete(erasureSteps).where(inArray(erasureSteps.customerId, ids));
  await ctx.db.delete(erasures).where(inArray(erasures.customerId, ids));
  await ctx.db.delete(customers).where(inArray(customers.id, ids));
  return ids.length;
}

async function purgeKeys(ctx: ServiceContext): Promise<void> {
  const rows = await ctx.db
    .select({ id: keys.id })
    .from(keys)
    .innerJoin(projects, eq(projects.id, keys.projectId))
    .innerJoin(billingAccounts, eq(billingAccounts.id, projects.billingAccountId))
    .where(
      and(
        eq(billingAccounts.isInternal, true),
        eq(keys.status, "revoked"),
        lte(keys.revokedAt, new Date(ctx.clock.nowMs() - KEY_KEPT_MS)),
      ),
    )
    .limit(BATCH_MAX);
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return;
  await ctx.db.delete(keyActivity).where(inArray(keyActivity.keyId, ids));
  await ctx.db.delete(auditLog).where(inArray(auditLog.subject, ids));
  await ctx.db.delete(keys).where(inArray(keys.id, ids));
}
