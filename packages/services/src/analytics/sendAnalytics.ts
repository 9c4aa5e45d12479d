import { schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, inArray, isNull, lte, ne, or, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { AnalyticsSink, DeliveryRow } from "./sink.ts";
import { SinkUnavailableError } from "./sink.ts";

/** Longer than a batch takes with all its time limits. */
const CLAIM_MS = 5 * 60_000;
/** A sweep ends after so many batches of a sink; the next one goes on. */
const BATCHES_MAX = 20;
/** The waits after each failure; the last one again and again, because a sink that is away delays and never loses. */
const RETRY_DELAYS_MS = [10_000, 60_000, 5 * 60_000, 15 * 60_000, 3_600_000];
const RETRY_MS_MAX = 24 * 3_600_000;
const KEPT_MS = 7 * 24 * 3_600_000;
const FORGET_MAX = 1_000;
const ERROR_CHARACTERS_MAX = 300;

const { analyticsDeliveries: deliveries } = schema;

/**
 * Sends what waits to each sink, the oldest first, batch by batch. A sink that is away holds up itself and no other. What
 * arrived is forgotten after a week.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function sendAnalytics({
  ctx,
  sinks,
}: {
  readonly ctx: ServiceContext;
  readonly sinks: readonly AnalyticsSink[];
}): Promise<{ readonly sent: number }> {
  requireService(ctx);
  const counts = await Promise.all(sinks.map((sink) => sendTo(ctx, sink)));
  await forgetOld(ctx);
  return { sent: counts.reduce((sum, sent) => sum + sent, 0) };
}

async function sendTo(ctx: ServiceContext, sink: AnalyticsSink): Promise<number> {
  let sent = 0;
  for (let nth = 0; nth < BATCHES_MAX; nth += 1) {
    const batch = await claim(ctx, sink);
    if (batch.length === 0) break;
    try {
      const { refused } = await sink.send(ctx, batch);
      await noteAnswer(ctx, batch, refused);
      sent += batch.length - refused.size;
    } catch (error) {
      if (!(error instanceof SinkUnavailableError)) throw error;
      ctx.logger.warn({ sink: sink.name, batch: batch.length, reason: error.message }, "a sink of events is away");
      await noteOutage(ctx, batch, error);
      break;
    }
    if (batch.length < sink.batchMax) break;
  }
  return sent;
}

async function claim(ctx: ServiceContext, sink: AnalyticsSink): Promise<DeliveryRow[]> {
  const now = ctx.clock.now();
  const isDue = and(
    eq(deliveries.sink, sink.name),
    eq(deliveries.status, "pending"),
    lte(deliveries.nextAttemptAt, now),
    or(isNull(deliveries.claimedUntil), lte(deliveries.claimedUntil, now)),
  );
  return withTransaction(ctx, async (ctx) => {
    const due = ctx.db
      .select({ id: deliveries.id })
      .from(deliveries)
      .where(isDue)
      .orderBy(asc(deliveries.nextAttemptAt), asc(deliveries.id))
      .limit(sink.batchMax)
      .for("update", { skipLocked: true });
    const rows = await ctx.db
      .update(deliveries)
      .set({ claimedUntil: new Date(now.getTime() + CLAIM_MS), attempts: sql`${deliveries.attempts} + 1` })
      .where(inArray(deliveries.id, due))
      .returning();
    return rows.sort((one, other) => one.createdAt.getTime() - other.createdAt.getTime());
  });
}

async function noteAnswer(
  ctx: ServiceContext,
  batch: readonly DeliveryRow[],
  refused: ReadonlyMap<string, string>,
): Promise<void> {
  const arrived = batch.filter(({ id }) => !refused.has(id)).map(({ id }) => id);
  await withTransaction(
    ctx,
    async (ctx) => {
      if (arrived.length > 0) {
        await ctx.db
          .update(deliveries)
          .set({ status: "sent", sentAt: ctx.clock.now(), lastError: null, claimedUntil: null })
          .where(inArray(deliveries.id, arrived));
      }
      for (const [id, reason] of refused) {
        await ctx.db
          .update(deliveries)
          .set({ status: "refused", lastError: reason.slice(0, ERROR_CHARACTERS_MAX), claimedUntil: null })
          .where(eq(deliveries.id, id));
      }
    },
    { isIdempotent: true },
  );
}

async function noteOutage(
  ctx: ServiceContext,
  batch: readonly DeliveryRow[],
  error: SinkUnavailableError,
): Promise<void> {
  const attempts = Math.max(...batch.map((row) => row.attempts));
  const planned = RETRY_DELAYS_MS[Math.min(attempts, RETRY_DELAYS_MS.length) - 1] ?? RETRY_DELAYS_MS[0] ?? 0;
  const waitMs = Math.min(Math.max(planned, error.retryAfterMs ?? 0), RETRY_MS_MAX);
  await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .update(deliveries)
        .set({
          nextAttemptAt: new Date(ctx.clock.nowMs() + waitMs),
          lastError: error.message.slice(0, ERROR_CHARACTERS_MAX),
          claimedUntil: null,
        })
        .where(
          and(
            inArray(
              deliveries.id,
              batch.map(({ id }) => id),
            ),
            eq(deliveries.status, "pending"),
          ),
        );
    },
    { isIdempotent: true },
  );
}

async function forgetOld(ctx: ServiceContext): Promise<void> {
  const before = new Date(ctx.clock.nowMs() - KEPT_MS);
  await withTransaction(
    ctx,
    async (ctx) => {
      const old = ctx.db
        .select({ id: deliveries.id })
        .from(deliveries)
        .where(and(ne(deliveries.status, "pending"), lte(deliveries.createdAt, before)))
        .orderBy(asc(deliveries.createdAt), asc(deliveries.id))
        .limit(FORGET_MAX);
      await ctx.db.delete(deliveries).where(inArray(deliveries.id, old));
    },
    { isIdempotent: true },
  );
}
