import { CONSUMERS } from "@tollgate/contracts";
import { silentLogger } from "@tollgate/kernel";
import { EVENT_STREAM, jetstreamManager, PushBus } from "@tollgate/messaging";
import type { Sql } from "postgres";

/** How many pairs of an event and a consumer that takes it are not noted as handled. */
export async function findUnhandled(sql: Sql): Promise<number> {
  let unhandled = 0;
  for (const [consumer, subjects] of Object.entries(CONSUMERS)) {
    const [row] = await sql`
      select count(*)::int as n from outbox
      where kind = 'event' and name = any(${[...subjects]}) and not exists (
        select 1 from inbox where inbox.consumer = ${consumer} and inbox.event_id = outbox.id)`;
    unhandled += Number(row?.["n"]);
  }
  return unhandled;
}

/** What there is of the events of one subject about one record: the number that each carries, in the order of its doing. */
export interface Effects {
  readonly announced: readonly number[];
  readonly delivered: readonly number[];
  readonly notified: readonly number[];
}

/**
 * Events as they were announced, and the rows that the consumers have written for them. A row says to the millisecond when
 * it was written, and of two with the same millisecond the later event is taken for the later one.
 */
export async function readEffects(sql: Sql, subject: string, lane: string, field: string): Promise<Effects> {
  const ofLane = sql`
    from outbox where kind = 'event' and name = ${subject}
      and coalesce(payload ->> 'projectId', payload ->> 'billingAccountId') = ${lane}`;
  const read = async (rows: Promise<readonly Record<string, unknown>[]>): Promise<number[]> =>
    (await rows).map((row) => Number(row["n"]));
  return {
    announced: await read(sql`select payload ->> ${field} as n ${ofLane} order by appended_at, ordinal`),
    delivered: await read(sql`
      select e.n from webhook_deliveries join (select id, (payload ->> ${field})::int8 as n ${ofLane}) e
        on e.id = webhook_deliveries.message_id order by webhook_deliveries.created_at, e.n`),
    notified: await read(sql`
      select e.n from notifications join (select id, (payload ->> ${field})::int8 as n ${ofLane}) e
        on e.id = notifications.event_id order by notifications.created_at, e.n`),
  };
}

/** What an operator can do to NATS by mistake. Away, it has nothing to delete. */
export async function deleteEventStream(natsUrl: string): Promise<void> {
  const bus = new PushBus({ url: natsUrl, name: "promises", logger: silentLogger });
  try {
    await new Promise<void>((resolve) => bus.onConnected(resolve));
    const { connection } = bus;
    if (connection === undefined) return;
    const manager = await jetstreamManager(connection);
    await manager.streams.delete(EVENT_STREAM);
  } catch {
    // It was just started and has no stream yet, or has gone again.
  } finally {
    await bus.close();
  }
}
