import type { EventEnvelope } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { withSqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import type { StreamState } from "@tollgate/messaging";
import { DUPLICATE_WINDOW_MS, EVENT_RETENTION_DAYS } from "@tollgate/messaging";

/** The relay's statements: what waits, what was sent, whose term it is, and how far the stream has come. */
const RELAY = "outbox";
const DAY_MS = 86_400_000;
const REQUEUE_ROWS_MAX = 5_000;

export type OutboxKind = "event" | "job";

export interface OutboxRow {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly payload: Record<string, unknown>;
  readonly actor: string;
  readonly request_id: string;
  readonly traceparent: string | null;
  readonly created_at: Date;
  /** The term that had begun when the row was read; null before the first. */
  readonly term: string | null;
}

/** What has not been sent, in the order in which the database took it. */
export async function readUnsent(database: Database, kind: OutboxKind, limit: number): Promise<OutboxRow[]> {
  return database.sql<OutboxRow[]>`
    select id, name, version, payload, actor, request_id, traceparent, created_at,
      (select term from relay_terms where relay_terms.name = ${RELAY}) as term
    from outbox where sent_at is null and kind = ${kind} order by appended_at, ordinal, id limit ${limit}`;
}

/** The row that is to be sent next. */
export async function findHead(database: Database, kind: OutboxKind): Promise<string | undefined> {
  const [row] = await database.sql<{ id: string }[]>`
    select id from outbox where sent_at is null and kind = ${kind} order by appended_at, ordinal, id limit 1`;
  return row?.id;
}

/** Notes what was sent and how far the stream has come with it. True whoever says it, so no term is asked for. */
export async function stampSent(
  database: Database,
  clock: Clock,
  ids: readonly string[],
  lastSequence: bigint,
): Promise<void> {
  await withSqlTransaction(
    database,
    async (sql) => {
      await sql`update outbox set sent_at = ${clock.now()} where id = any(${[...ids]}) and sent_at is null`;
      if (lastSequence === 0n) return;
      await sql`
        update relay_terms set stream_sequence = greatest(stream_sequence, ${lastSequence.toString()})
        where name = ${RELAY}`;
    },
    // The rows are named by their ids, and each change is right whatever else has changed.
    { isIdempotent: true, isLockingItsRows: true },
  );
}

/** Begins a new term and ends the one before. The database counts them itself, so they grow whatever becomes of etcd. */
export async function beginTerm(database: Database, clock: Clock, holder: string): Promise<bigint> {
  const [row] = await database.sql<{ term: string }[]>`
    insert into relay_terms (name, term, holder, began_at) values (${RELAY}, 1, ${holder}, ${clock.now()})
    on conflict (name) do update
      set term = relay_terms.term + 1, holder = excluded.holder, began_at = excluded.began_at
    returning term`;
  if (row === undefined) throw new Error("No term was begun");
  return BigInt(row.term);
}

export interface EventStreamPort {
  read(): Promise<StreamState | undefined>;
  ensure(): Promise<StreamState>;
}

/**
 * Makes the stream, and compares it with what is known to have been sent to it. If it is gone, another one, or behind, the
 * events that it may have lost are sent again: those since its last message, or all that it would still keep. They are back
 * in the outbox before the stream is there, so that nothing newer goes before them. Consumers know by their ids the ones
 * that had reached them. @returns how many are sent again
 */
export async function mendStream(database: Database, clock: Clock, stream: EventStreamPort): Promise<number> {
  // What is known comes first: what is sent meanwhile must not look like something that the stream lacks.
  const [known] = await database.sql<{ stream_created: string | null; stream_sequence: string }[]>`
    select stream_created, stream_sequence from relay_terms where name = ${RELAY}`;
  const found = await stream.read();
  const isSame = found !== undefined && known?.stream_created === found.created;
  if (isSame && found.lastSequence >= BigInt(known.stream_sequence)) {
    await stream.ensure();
    return 0;
  }
  let requeued = 0;
  if (known?.stream_created != null) {
    const keptMs = clock.nowMs() - EVENT_RETENTION_DAYS * DAY_MS;
    const lastMs = isSame && found.lastAt !== undefined ? found.lastAt.getTime() - DUPLICATE_WINDOW_MS : keptMs;
    const since = new Date(Math.max(keptMs, lastMs));
    for (let batch = REQUEUE_ROWS_MAX; batch === REQUEUE_ROWS_MAX; requeued += batch) {
      batch = await requeueSome(database, since);
    }
  }
  const made = await stream.ensure();
  await database.sql`
    insert into relay_terms (name, term, holder, began_at, stream_created, stream_sequence)
    values (${RELAY}, 0, '', ${clock.now()}, ${made.created}, ${made.lastSequence.toString()})
    on conflict (name) do update
      set stream_created = excluded.stream_created, stream_sequence = excluded.stream_sequence`;
  return requeued;
}

async function requeueSome(database: Database, since: Date): Promise<number> {
  const rows = await database.sql`
    update outbox set sent_at = null where id in (
      select id from outbox where kind = 'event' and sent_at >= ${since} limit ${REQUEUE_ROWS_MAX})
    returning id`;
  return rows.length;
}

/** The row as it travels. */
export function toEnvelope(row: OutboxRow): EventEnvelope {
  return {
    id: row.id,
    subject: row.name,
    version: row.version,
    time: row.created_at.toISOString(),
    actor: row.actor,
    requestId: row.request_id,
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    data: row.payload,
  };
}
