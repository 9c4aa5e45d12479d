import { claimEvent, databaseErrorCode, isConnectionFailure, isSerializationConflict, schema } from "@tollgate/db";
import { newId, TollgateError } from "@tollgate/kernel";
import { currentTraceparent, nextTraceparent, SpanKind, withSpan } from "@tollgate/telemetry";
import { and, eq, or } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { Consumer, EventHandler } from "./consumers.ts";
import type { ReadEvent } from "./readEvent.ts";

const { parkedEvents } = schema;

/** When a failed event is tried again and again, and when nobody tries any more. */
export interface RetryPolicy {
  readonly attemptsMax: number;
  /** Milliseconds before the attempt after `attempts` failed ones. */
  readonly delayMs: (attempts: number) => number;
}

/** 1, 4, 16, 64, 256 s, then 10 min: the last of ten attempts comes after about three quarters of an hour. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  attemptsMax: 10,
  delayMs: (attempts) => Math.min(1_000 * 4 ** (attempts - 1), 600_000) * (0.9 + 0.2 * Math.random()),
};

const ERROR_CHARACTERS_MAX = 1_000;

/** Handles an event as part of the trace that it came from. */
export function traceEvent<Result>(consumer: Consumer, event: ReadEvent, work: () => Promise<Result>): Promise<Result> {
  if (event.kind !== "event") return work();
  const { id, subject, traceparent } = event.event;
  const attributes = {
    "messaging.system": "nats",
    "messaging.destination.name": subject,
    "messaging.consumer.group.name": consumer.name,
    "messaging.message.id": id,
  };
  return withSpan(`process ${subject}`, { kind: SpanKind.CONSUMER, attributes, traceparent }, work);
}

/** The context that a handler runs under: the cause of the event goes on in whatever it writes, announces or orders. */
export function contextOf(ctx: ServiceContext, consumer: Consumer, event: ReadEvent): ServiceContext {
  const cause = event.kind === "event" ? event.event : undefined;
  const requestId = cause?.requestId ?? ctx.requestId;
  return {
    ...ctx,
    actor: { kind: "system", task: consumer.name },
    requestId,
    traceparent: currentTraceparent() ?? cause?.traceparent ?? nextTraceparent(),
    logger: ctx.logger.child({ consumer: consumer.name, eventId: cause?.id, requestId }),
  };
}

/** Whether an event, or an earlier one of its lane, waits already. */
export async function findParked(
  ctx: ServiceContext,
  consumer: Consumer,
  eventId: string,
  lane: string,
): Promise<"itself" | "lane" | undefined> {
  const rows = await ctx.db
    .select({ eventId: parkedEvents.eventId })
    .from(parkedEvents)
    .where(
      and(
        eq(parkedEvents.consumer, consumer.name),
        or(eq(parkedEvents.eventId, eventId), and(eq(parkedEvents.lane, lane), eq(parkedEvents.status, "waiting"))),
      ),
    );
  if (rows.some((row) => row.eventId === eventId)) return "itself";
  return rows.length > 0 ? "lane" : undefined;
}

/** Puts an event aside, once: `waiting` for its next attempt or for its lane, or `dead`. */
export async function parkEvent(
  ctx: ServiceContext,
  consumer: Consumer,
  event: ReadEvent,
  as: {
    readonly status: "waiting" | "dead";
    readonly reason: (typeof schema.PARKED_REASONS)[number];
    readonly attempts: number;
    readonly nextAttemptAt: Date;
    readonly lastError: string | null;
  },
): Promise<void> {
  const now = ctx.clock.now();
  const { envelope, lane } = event;
  const { eventId, subject } =
    event.kind === "event" ? { eventId: event.event.id, subject: event.event.subject } : event;
  await ctx.db
    .insert(parkedEvents)
    .values({
      ...as,
      id: newId("parkedEvent"),
      consumer: consumer.name,
      eventId,
      subject,
      lane,
      envelope: envelope as Record<string, unknown>,
      createdAt: now,
      diedAt: as.status === "dead" ? now : null,
    })
    .onConflictDoNothing();
}

/** Claims an event and runs its handler. @returns false if it had been handled before */
export async function runHandler(
  ctx: ServiceContext,
  consumer: Consumer,
  event: ReadEvent & { readonly kind: "event" },
): Promise<boolean> {
  if (!(await claimEvent(ctx, consumer.name, event.event.id))) return false;
  const handler = consumer.handlers.get(event.event.subject) as EventHandler | undefined;
  await handler?.(ctx, event.event);
  return true;
}

/**
 * Whether it is the database that failed and not the handler: then nothing is known of the event, no attempt is counted,
 * and it comes again as soon as the database is back.
 */
export function isOutage(error: unknown): boolean {
  if (isConnectionFailure(error) || isSerializationConflict(error)) return true;
  const outages = ["commit_unknown", "database_unavailable", "write_conflict"];
  return error instanceof TollgateError && outages.includes(error.reason);
}

/** What went wrong, for an operator: the innermost cause, because what is around a database's message quotes values. */
export function describeFailure(failure: unknown): string {
  let innermost = failure;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  const code = databaseErrorCode(failure);
  const message = innermost instanceof Error ? innermost.message : String(innermost);
  return (code === undefined ? message : `${message} (${code})`).slice(0, ERROR_CHARACTERS_MAX).replaceAll("\0", "");
}
