import type { AnyEventDefinition, AnyJobDefinition, EventData, JobData } from "@tollgate/contracts";
import { actorName, newId } from "@tollgate/kernel";
import { inbox, outbox } from "./schema/messages.ts";
import type { DbContext } from "./transaction.ts";

/**
 * Announces a domain event. It leaves with the transaction or not at all: a relay publishes the row after the commit.
 * @throws Error outside a transaction, and when the data does not fit the event's schema.
 */
export async function appendEvent<Definition extends AnyEventDefinition>(
  ctx: DbContext,
  definition: Definition,
  data: EventData<Definition>,
): Promise<void> {
  await append(ctx, newId("event"), "event", definition.subject, definition.version, definition.schema.parse(data));
}

/**
 * Orders a job. It is queued after the commit or not at all, under an id of the caller's choice: the same id is queued
 * once while the job is there.
 */
export async function appendJob<Definition extends AnyJobDefinition>(
  ctx: DbContext,
  definition: Definition,
  data: JobData<Definition>,
): Promise<void> {
  await append(ctx, newId("job"), "job", definition.name, 1, definition.schema.parse(data));
}

async function append(
  ctx: DbContext,
  id: string,
  kind: "event" | "job",
  name: string,
  version: number,
  payload: Record<string, unknown>,
): Promise<void> {
  if (!ctx.isInTransaction) throw new Error(`${name} must be appended inside the transaction it speaks of`);
  await ctx.db.insert(outbox).values({
    id,
    kind,
    name,
    version,
    payload,
    actor: actorName(ctx.actor),
    requestId: ctx.requestId,
    traceparent: ctx.traceparent ?? null,
    createdAt: ctx.clock.now(),
    ordinal: nextOrdinal(),
  });
}

let lastOrdinal = 0;

/** Grows with every append of this process. The clock may show the same instant for a whole transaction. */
function nextOrdinal(): number {
  lastOrdinal += 1;
  return lastOrdinal;
}

/**
 * Notes that a consumer has handled an event, inside the transaction of its effect.
 * @returns false if it had been handled before: then there is nothing to do.
 */
export async function claimEvent(ctx: DbContext, consumer: string, eventId: string): Promise<boolean> {
  const rows = await ctx.db
    .insert(inbox)
    .values({ consumer, eventId, handledAt: ctx.clock.now() })
    .onConflictDoNothing()
    .returning({ eventId: inbox.eventId });
  return rows.length === 1;
}
