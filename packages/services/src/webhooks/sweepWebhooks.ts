import { webhooksDeliver } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, eq, exists, inArray, isNull, lt, lte, ne, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const ENDPOINTS_MAX = 1_000;
const BATCH_MAX = 500;
const DAY_MS = 24 * 3_600_000;
const KEPT_MS = 30 * DAY_MS;
/** What has waited so long at an endpoint that is switched off would be news of another time. */
const STALE_MS = 4 * DAY_MS;
const { webhookDeliveries: deliveries, webhookEndpoints: endpoints } = schema;

/**
 * Wakes every endpoint that has something due: what is to be tried again, and what has lost its job with the queue. It asks
 * endpoint by endpoint, so that a long line at one of them hides nobody else's.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sweepWebhooks({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly woken: number }> {
  requireService(ctx);
  const now = ctx.clock.now();
  return withTransaction(
    ctx,
    async (ctx) => {
      const due = ctx.db
        .select({ one: sql`1` })
        .from(deliveries)
        .where(
          and(
            eq(deliveries.endpointId, endpoints.id),
            eq(deliveries.status, "pending"),
            lte(deliveries.nextAttemptAt, now),
            or(isNull(deliveries.claimedUntil), lte(deliveries.claimedUntil, now)),
          ),
        );
      const rows = await ctx.db
        .select({ id: endpoints.id })
        .from(endpoints)
        .where(and(eq(endpoints.status, "enabled"), isNull(endpoints.deletedAt), exists(due)))
        .limit(ENDPOINTS_MAX);
      for (const { id } of rows) await appendJob(ctx, webhooksDeliver, { endpointId: id });
      return { woken: rows.length };
    },
    { isIdempotent: true },
  );
}

/**
 * Forgets deliveries after 30 days, and gives up those that have waited four days at an endpoint that is switched off.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function forgetWebhooks({ ctx }: { readonly ctx: ServiceContext }): Promise<void> {
  requireService(ctx);
  const now = ctx.clock.now();
  await withTransaction(
    ctx,
    async (ctx) => {
      const stale = ctx.db
        .select({ id: deliveries.id })
        .from(deliveries)
        .innerJoin(endpoints, eq(endpoints.id, deliveries.endpointId))
        .where(
          and(
            ne(endpoints.status, "enabled"),
            eq(deliveries.status, "pending"),
            lt(deliveries.createdAt, new Date(now.getTime() - STALE_MS)),
          ),
        )
        .limit(BATCH_MAX);
      await ctx.db.update(deliveries).set({ status: "failed", completedAt: now }).where(inArray(deliveries.id, stale));
      const old = ctx.db
        .select({ id: deliveries.id })
        .from(deliveries)
        .where(and(ne(deliveries.status, "pending"), lt(deliveries.createdAt, new Date(now.getTime() - KEPT_MS))))
        .limit(BATCH_MAX);
      await ctx.db.delete(deliveries).where(inArray(deliveries.id, old));
    },
    { isIdempotent: true },
  );
}
