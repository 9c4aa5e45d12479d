import type { EventEnvelope } from "@tollgate/contracts";
import type { Database, SqlTransaction } from "@tollgate/db";
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

/** How far which stream has come, as far as it is known; what is sent goes right behind it or not at all. */
export interface StreamTail {
  /** When the stream was made: another one has another end. */
  readonly created: string;
  readonly lastSequence: bigint;
}

/** Notes which jobs are with the queues. */
export async function stampEnqueued(database: Database, clock: Clock, ids: readonly string[]): Promise<void> {
  await withSqlTransaction(database, async (sql) => void (await stamp(sql, clock, ids)), STAMPING);
}

/**
 * Notes which events were sent, and that the stream has come from one end to the next. If the database knows of another
 * end, somebody has found meanwhile that the stream lost something, or has sent behind that end himself: what was sent may
 * be gone, so nothing is noted. @returns whether it was noted
 */
export async function stampPublished(
  database: Database,
  clock: Clock,
  ids: readonly string[],
  from: StreamTail,
  lastSequence: bigint,
): Promise<boolean> {
  return withSqlTransaction(
    database,
    async (sql) => {
      // First, because whoever mends the stream begins with this row and waits for its lock.
      const moved = await sql`
        update relay_terms set stream_sequence = ${lastSequence.toString()}
        where name = ${RELAY} and stream_created = ${from.created} and stream_sequence = ${from.lastSequence.toString()}
        returning name`;
      if (moved.length === 0) return false;
      await stamp(sql, clock, ids);
      return true;
    },
    // A second time it finds another end and notes nothing: then the events are sent again.
    STAMPING,
  );
}

const STAMPING = { isIdempotent: true, isLockingItsRows: true } as const;

async function stamp(sql: SqlTransaction, clock: Clock, ids: readonly string[]): Promise<void> {
  await sql`update outbox set sent_at = ${clock.now()} where id = any(${[...ids]}) and sent_at is null`;
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
 * that had reached them. @returns the stream's end, or undefined if somebody else is mending it: then look again
 */
export async function mendStream(
  database: Database,
  clock: Clock,
  stream: EventStreamPort,
): Promise<{ readonly tail: StreamTail; readonly requeued: number } | undefined> {
  // What is known comes first: what is sent meanwhile must not look like something that the stream lacks.
  const known = await readKnown(database);
  const found = await stream.read();
  const isSame = found !== undefined && known?.created === found.created;
  if (isSame && found.lastSequence >= known.lastSequence) {
    await stream.ensure();
    const isKnown = found.lastSequence === known.lastSequence || (await moveTail(database, known, found));
    return isKnown ? { tail: tailOf(found), requeued: 0 } : undefined;
  }
  let requeued = 0;
  if (known !== undefined) {
    // From here on nobody can note that the lost stream has something; and whoever finds this mark knows that all may lack.
    const torn = { created: TORN, lastSequence: 0n };
    if (!(await moveTail(database, known, torn))) return undefined;
    const keptMs = clock.nowMs() - EVENT_RETENTION_DAYS * DAY_MS;
    const lastMs = isSame && found.lastAt !== undefined ? found.lastAt.getTime() - DUPLICATE_WINDOW_MS : keptMs;
    const since = new Date(Math.max(keptMs, lastMs));
    for (let batch = REQUEUE_ROWS_MAX; batch === REQUEUE_ROWS_MAX; requeued += batch) {
      batch = await requeueSome(database, since);
    }
    const made = await stream.ensure();
    return (await moveTail(database, torn, made)) ? { tail: tailOf(made), requeued } : undefined;
  }
  const made = await stream.ensure();
  const first = await database.sql`
    insert into relay_terms (name, term, holder, began_at, stream_created, stream_sequence)
    values (${RELAY}, 0, '', ${clock.now()}, ${made.created}, ${made.lastSequence.toString()})
    on conflict (name) do update
      set stream_created = excluded.stream_created, stream_sequence = excluded.stream_sequence
      where relay_terms.stream_created is null
    returning name`;
  return first.length > 0 ? { tail: tailOf(made), requeued: 0 } : undefined;
}

/** Stands in place of the stream's birth while what it may have lost is put back. */
const TORN = "torn";

const tailOf = ({ created, lastSequence }: StreamTail): StreamTail => ({ created, lastSequence });

/** The end of the stream as the database has it; undefined before the first one. */
async function readKnown(database: Database): Promise<StreamTail | undefined> {
  const [row] = await database.sql<{ stream_created: string | null; stream_sequence: string }[]>`
    select stream_created, stream_sequence from relay_terms where name = ${RELAY}`;
  if (row === undefined || row.stream_created === null) return undefined;
  return { created: row.stream_created, lastSequence: BigInt(row.stream_sequence) };
}

/** @returns false if the end that is known has become another meanwhile */
async function moveTail(database: Database, from: StreamTail, to: StreamTail): Promise<boolean> {
  const moved = await database.sql`
    update relay_terms set stream_created = ${to.created}, stream_sequence = ${to.lastSequence.toString()}
    where name = ${RELAY} and stream_created = ${from.created} and stream_sequence = ${from.lastSequence.toString()}
    returning name`;
  return moved.length > 0;
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
