import { retryRead, schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, inArray, lte, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { Consumer } from "./consumers.ts";
import type { RetryPolicy } from "./parking.ts";
import { contextOf, describeFailure, isOutage, runHandler, traceEvent } from "./parking.ts";
import type { ReadEvent } from "./readEvent.ts";
import { readEnvelope } from "./readEvent.ts";

const { parkedEvents } = schema;
type ParkedRow = typeof parkedEvents.$inferSelect;

/**
 * Tries the events again whose time has come, the first of each lane only. Several processes may do this at once: a row is
 * locked while it is tried. @returns how many were tried; none means that there is nothing to do now
 */
export async function retryParkedEvents({
  ctx,
  input,
}: {
  readonly ctx: ServiceContext;
  readonly input: { readonly consumers: readonly Consumer[]; readonly policy: RetryPolicy; readonly limit: number };
}): Promise<number> {
  requireService(ctx);
  const { consumers, policy, limit } = input;
  if (consumers.length === 0) return 0;
  const names = consumers.map(({ name }) => name);
  const due = await retryRead(() => findDue(ctx, names, limit));
  for (const row of due) {
    const consumer = consumers.find(({ name }) => name === row.consumer);
    if (consumer === undefined) continue;
    const event = readEnvelope(row.envelope);
    await traceEvent(consumer, event, () => retry(ctx, consumer, row, event, policy));
  }
  return due.length;
}

/** The first of each lane, if its time has come. */
function findDue(ctx: ServiceContext, names: readonly string[], limit: number): Promise<ParkedRow[]> {
  return ctx.db
    .select()
    .from(parkedEvents)
    .where(
      and(
        eq(parkedEvents.status, "waiting"),
        lte(parkedEvents.nextAttemptAt, ctx.clock.now()),
        inArray(parkedEvents.consumer, [...names]),
        sql`not exists (
          select 1 from ${parkedEvents} as earlier
          where earlier.consumer = ${parkedEvents.consumer} and earlier.lane = ${parkedEvents.lane}
            and earlier.status = 'waiting'
            and (earlier.appended_at, earlier.id) < (${parkedEvents.appendedAt}, ${parkedEvents.id}))`,
      ),
    )
    .orderBy(asc(parkedEvents.nextAttemptAt))
    .limit(limit);
}

async function retry(
  ctx: ServiceContext,
  consumer: Consumer,
  row: ParkedRow,
  event: ReadEvent,
  policy: RetryPolicy,
): Promise<void> {
  const handlerCtx = contextOf(ctx, consumer, event);
  try {
    if (event.kind !== "event") throw new Error(event.problem);
    await withTransaction(
      handlerCtx,
      async (ctx) => {
        if (!(await lock(ctx, row))) return;
        await runHandler(ctx, consumer, event);
        await ctx.db.delete(parkedEvents).where(eq(parkedEvents.id, row.id));
      },
      { isIdempotent: true },
    );
  } catch (error) {
    if (isOutage(error)) throw error;
    await noteFailure(handlerCtx, event, row, policy, error);
  }
}

/** Whether the row is still as it was read; if so nobody else has it until the transaction ends. */
async function lock(ctx: ServiceContext, row: ParkedRow): Promise<boolean> {
  const rows = await ctx.db.select({ id: parkedEvents.id }).from(parkedEvents).where(isAsRead(row)).for("update");
  return rows.length > 0;
}

const isAsRead = (row: ParkedRow) =>
  and(eq(parkedEvents.id, row.id), eq(parkedEvents.status, "waiting"), eq(parkedEvents.attempts, row.attempts));

async function noteFailure(
  ctx: ServiceContext,
  event: ReadEvent,
  row: ParkedRow,
  policy: RetryPolicy,
  error: unknown,
): Promise<void> {
  const attempts = row.attempts + 1;
  // What cannot be read will not be readable in a minute either.
  const isDead = attempts >= policy.attemptsMax || event.kind !== "event";
  const now = ctx.clock.now();
  await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .update(parkedEvents)
        .set({
          attempts,
          reason: event.kind === "event" ? "failed" : event.kind,
          lastError: describeFailure(error),
          ...(isDead
            ? { status: "dead" as const, diedAt: now }
            : { nextAttemptAt: new Date(now.getTime() + policy.delayMs(attempts)) }),
        })
        .where(isAsRead(row));
    },
    { isIdempotent: true },
  );
  const about = { err: error, subject: row.subject, attempts };
  if (isDead) ctx.logger.error(about, "an event was given up: it is a dead letter now");
  else ctx.logger.warn(about, "an event could not be handled; it will be tried again");
}
