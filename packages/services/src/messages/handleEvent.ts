import { withTransaction } from "@tollgate/db";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { Consumer } from "./consumers.ts";
import type { RetryPolicy } from "./parking.ts";
import { contextOf, describeFailure, findParked, isOutage, parkEvent, runHandler, traceEvent } from "./parking.ts";
import type { ReadEvent } from "./readEvent.ts";
import { readMessage } from "./readEvent.ts";

/**
 * What became of a message: its effect is there, or is none of this consumer's business, or was there before, or the
 * event waits for another attempt or behind one of its lane, or it is a dead letter. In each case the message is done with.
 */
export type EventOutcome = "handled" | "ignored" | "repeated" | "waiting" | "dead";

/**
 * Handles one message of the stream for one consumer. The note that it was handled and all effects are one transaction.
 * A handler that fails costs the event an attempt; an outage of the database costs nothing.
 * @throws Error when the database is away: the message must come again
 */
export async function handleEvent({
  ctx,
  input,
}: {
  readonly ctx: ServiceContext;
  readonly input: { readonly consumer: Consumer; readonly text: string; readonly policy: RetryPolicy };
}): Promise<EventOutcome> {
  requireService(ctx);
  const { consumer, text, policy } = input;
  const event = readMessage(text);
  if (event.kind !== "event") {
    // An event of a version that this process is too old to know may be none of this consumer's business.
    if (event.subject !== "unknown" && !consumer.handlers.has(event.subject)) return "ignored";
    const now = ctx.clock.now();
    const { kind: reason, problem: lastError } = event;
    await withTransaction(
      ctx,
      (ctx) => parkEvent(ctx, consumer, event, { status: "dead", reason, attempts: 1, nextAttemptAt: now, lastError }),
      { isIdempotent: true },
    );
    ctx.logger.error({ consumer: consumer.name, eventId: event.eventId, subject: event.subject }, event.problem);
    return "dead";
  }
  if (!consumer.handlers.has(event.event.subject)) return "ignored";
  return traceEvent(consumer, event, () => handleKnown(ctx, consumer, event, policy));
}

/** Runs the handler, or puts the event behind an earlier one of its lane that waits. @throws Error as {@link handleEvent} */
async function handleKnown(
  ctx: ServiceContext,
  consumer: Consumer,
  event: ReadEvent & { readonly kind: "event" },
  policy: RetryPolicy,
): Promise<EventOutcome> {
  const handlerCtx = contextOf(ctx, consumer, event);
  try {
    return await withTransaction(
      handlerCtx,
      async (ctx) => {
        const parked = await findParked(ctx, consumer, event.event.id, event.lane);
        if (parked === "itself") return "repeated";
        if (parked === "lane") {
          const now = ctx.clock.now();
          const behind = { status: "waiting", reason: "blocked", attempts: 0, nextAttemptAt: now } as const;
          await parkEvent(ctx, consumer, event, { ...behind, lastError: null });
          return "waiting";
        }
        return (await runHandler(ctx, consumer, event)) ? "handled" : "repeated";
      },
      { isIdempotent: true },
    );
  } catch (error) {
    if (isOutage(error)) throw error;
    handlerCtx.logger.warn(
      { err: error, subject: event.event.subject },
      "an event could not be handled; it will be tried again",
    );
    const nextAttemptAt = new Date(ctx.clock.nowMs() + policy.delayMs(1));
    const failed = { status: "waiting", reason: "failed", attempts: 1, nextAttemptAt } as const;
    await withTransaction(
      handlerCtx,
      (ctx) => parkEvent(ctx, consumer, event, { ...failed, lastError: describeFailure(error) }),
      { isIdempotent: true },
    );
    return "waiting";
  }
}
