import type { AnyEventDefinition, AnyJobDefinition, EventData, JobData } from "@tollgate/contracts";
import { actorName, newId } from "@tollgate/kernel";
import { insertRows } from "./insertRows.ts";
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
  assertInTransaction(ctx, definition.subject);
  await ctx.db.insert(outbox).values(eventRow(ctx, definition, data));
}

/** An event that is announced together with others: what {@link appendEvents} takes. */
export interface Announcement<Definition extends AnyEventDefinition = AnyEventDefinition> {
  readonly definition: Definition;
  readonly data: EventData<Definition>;
}

/** The same for many events, in their order, by one statement. @throws Error as {@link appendEvent} */
export async function appendEvents(ctx: DbContext, announcements: readonly Announcement[]): Promise<void> {
  for (const { definition } of announcements) assertInTransaction(ctx, definition.subject);
  await insertRows(
    ctx.db,
    outbox,
    announcements.map(({ definition, data }) => eventRow(ctx, definition, data)),
  );
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
  assertInTransaction(ctx, definition.name);
  const payload = definition.schema.parse(data);
  await ctx.db
    .insert(outbox)
    .values(rowOf(ctx, { id: newId("job"), kind: "job", name: definition.name, version: 1, payload }));
}

function assertInTransaction(ctx: DbContext, name: string): void {
  if (!ctx.isInTransaction) throw new Error(`${name} must be appended inside the transaction it speaks of`);
}

const eventRow = (
  ctx: DbContext,
  { subject: name, version, schema }: AnyEventDefinition,
  data: unknown,
): OutboxInsert => rowOf(ctx, { id: newId("event"), kind: "event", name, version, payload: schema.parse(data) });

type OutboxInsert = typeof outbox.$inferInsert;

const rowOf = (
  ctx: DbContext,
  what: Pick<OutboxInsert, "id" | "kind" | "name" | "version" | "payload">,
): OutboxInsert => ({
  ...what,
  actor: actorName(ctx.actor),
  requestId: ctx.requestId,
  traceparent: ctx.traceparent ?? null,
  createdAt: ctx.clock.now(),
  ordinal: nextOrdinal(),
});

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
