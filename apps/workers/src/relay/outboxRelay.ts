import { hostname } from "node:os";
import type { QueueName } from "@tollgate/contracts";
import { PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import type { JobOrder, PushBus, Queues } from "@tollgate/messaging";
import { ensureEventStream, publishEvents, readEventStream } from "@tollgate/messaging";
import { SpanKind, withSpans } from "@tollgate/telemetry";
import { jobNamed } from "../jobCatalogue.ts";
import type { OutboxKind, OutboxRow, StreamTail } from "./outboxRows.ts";
import {
  beginTerm,
  findHead,
  mendStream,
  readUnsent,
  stampEnqueued,
  stampPublished,
  toEnvelope,
} from "./outboxRows.ts";

/**
 * Sends what committed transactions have to say: events to JetStream, jobs to the queues. It reads unsent rows in order,
 * sends them in order and stamps them. One relay leads and the others look on; what the leader does is this:
 * its term is counted in the database, and rows that were read when a later term had begun are not sent.
 *
 * Whoever sends knows where the stream ends. A batch is a chain behind that end, which the stream takes only while nobody
 * else's message comes between, and it counts as sent only if the database still knows of the same end. So a relay that was
 * held up can put nothing into a stream that has lost what comes before.
 *
 * The others stand in whenever sending does not go on: etcd is away, so nobody can lead, or the same row has been the next
 * for a while, so whoever leads is dead or cut off. Then several may send the same rows. The stream, the queues and the
 * consumers recognise them by their ids, and because each sends in order, the first copy of every row is in order.
 *
 * While events flow, each relay says so once a second: gateways trust their caches only as long as they hear that.
 */
const POLL_MS = 50;
const ROWS_MAX = 500;
const HEARTBEAT_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 250;
/** How often one that does not lead looks, and how long the same row may be the next. A revocation has a second in all. */
const WATCH_MS = 100;
const STALLED_MS = 300;
/** The stream's state is compared with what was sent at every connection, and as often as this. */
const MEND_MS = 15_000;

/** Who may lead. */
export interface Leadership {
  isLeader(): boolean;
  /** Whether it is known who leads. If not, everybody sends. */
  isSettled(): boolean;
}

/** Nobody leads and everybody sends. */
export const NO_LEADERSHIP: Leadership = { isLeader: () => false, isSettled: () => false };

export interface OutboxRelayOptions {
  readonly database: Database;
  readonly bus: PushBus;
  readonly queues: Queues;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leadership: Leadership;
}

export class OutboxRelay {
  readonly #options: OutboxRelayOptions;
  readonly #stopping = new AbortController();
  readonly #heads = new Map<OutboxKind, { readonly id: string | undefined; readonly sinceMs: number }>();
  #term: Promise<bigint> | undefined;
  /** Where the stream ends; undefined as long as it has not been looked at. */
  #tail: StreamTail | undefined;
  #mendedAtMs = Number.NEGATIVE_INFINITY;
  #beatAtMs = 0;
  #running: Promise<unknown> | undefined;

  constructor(options: OutboxRelayOptions) {
    this.#options = options;
  }

  start(): void {
    // A server that was restarted may have lost what it had acknowledged.
    this.#options.bus.onConnected(() => {
      this.#tail = undefined;
    });
    // Each kind by itself: events that wait for NATS must not stand in the way of jobs, nor jobs that wait for Redis.
    this.#running = Promise.all([this.#run("event"), this.#run("job")]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(kind: OutboxKind): Promise<void> {
    const { signal } = this.#stopping;
    const { leadership, logger } = this.#options;
    while (!signal.aborted) {
      try {
        if (kind === "event") await this.#prepareStream();
        const isFlowing = kind === "event" && this.#tail !== undefined;
        const isSending = leadership.isLeader() || !leadership.isSettled();
        const sent = isSending ? await this.#send(kind) : await this.#standBy(kind);
        if (isFlowing) this.#beat();
        if (sent < ROWS_MAX) await delay(isSending ? POLL_MS : WATCH_MS, signal);
      } catch (error) {
        logger.warn({ err: error, kind }, "the outbox cannot be sent; trying again");
        if (kind === "event") this.#tail = undefined;
        await delay(PAUSE_AFTER_FAILURE_MS, signal);
      }
    }
  }

  /** Sends what comes next, as the leader or because nobody can lead. @returns how many rows */
  async #send(kind: OutboxKind): Promise<number> {
    const { leadership, database, clock } = this.#options;
    if (!leadership.isLeader()) {
      this.#term = undefined;
      return this.#sendSome(kind, undefined);
    }
    this.#term ??= beginTerm(database, clock, `${hostname()}:${process.pid}`);
    const term = this.#term;
    try {
      return await this.#sendSome(kind, await term);
    } catch (error) {
      if (this.#term === term) this.#term = undefined;
      throw error;
    }
  }

  /** Looks whether sending goes on, and if not sends some itself. @returns how many rows */
  async #standBy(kind: OutboxKind): Promise<number> {
    this.#term = undefined;
    const { database, clock } = this.#options;
    const id = await findHead(database, kind);
    const nowMs = clock.nowMs();
    const last = this.#heads.get(kind);
    if (last === undefined || last.id !== id) this.#heads.set(kind, { id, sinceMs: nowMs });
    const isStalled = id !== undefined && last?.id === id && nowMs - last.sinceMs >= STALLED_MS;
    return isStalled ? this.#sendSome(kind, undefined) : 0;
  }

  async #sendSome(kind: OutboxKind, term: bigint | undefined): Promise<number> {
    const tail = this.#tail;
    if (kind === "event" && (this.#options.bus.connection === undefined || tail === undefined)) return 0;
    const rows = await readUnsent(this.#options.database, kind, ROWS_MAX);
    if (rows.length === 0 || !this.#maySend(rows, term)) return 0;
    const system = kind === "event" ? "nats" : "bullmq";
    const messages = rows.map(({ name, traceparent }) => ({ name: `send ${name}`, traceparent }));
    const options = { kind: SpanKind.PRODUCER, attributes: { "messaging.system": system } };
    await withSpans(messages, options, () =>
      tail !== undefined && kind === "event" ? this.#publish(rows, tail) : this.#enqueue(rows),
    );
    return rows.length;
  }

  /** Whether the term is still ours; asked between reading and sending, with nothing in between that waits. */
  #maySend(rows: readonly OutboxRow[], term: bigint | undefined): boolean {
    if (term === undefined) return true;
    if (this.#options.leadership.isLeader() && rows[0]?.term === term.toString()) return true;
    this.#term = undefined;
    return false;
  }

  async #publish(rows: readonly OutboxRow[], tail: StreamTail): Promise<void> {
    const { bus, database, clock } = this.#options;
    const { connection } = bus;
    if (connection === undefined) throw new Error("NATS is not connected");
    const sent = await publishEvents(connection, tail.lastSequence, rows.map(toEnvelope));
    const { ids, lastSequence, failure } = sent;
    const isNoted = ids.length === 0 || (await stampPublished(database, clock, ids, tail, lastSequence));
    if (failure !== undefined && !sent.isOutOfTurn) throw failure;
    // Where it ends otherwise than was thought, it is looked at again.
    const next = isNoted && failure === undefined ? { created: tail.created, lastSequence } : undefined;
    if (this.#tail === tail) this.#tail = next;
  }

  /** Queues each get theirs at once, in order. */
  async #enqueue(rows: readonly OutboxRow[]): Promise<void> {
    const { queues, database, clock } = this.#options;
    const orders = new Map<QueueName, { ids: string[]; jobs: JobOrder[] }>();
    const done: string[] = [];
    for (const row of rows) {
      const order = this.#toOrder(row);
      if (order === undefined) {
        done.push(row.id);
        continue;
      }
      const { queue } = order.definition;
      const known = orders.get(queue) ?? { ids: [], jobs: [] };
      known.ids.push(row.id);
      known.jobs.push(order);
      orders.set(queue, known);
    }
    const outcomes = await Promise.allSettled(
      [...orders].map(async ([queue, { ids, jobs }]) => {
        await queues.enqueueMany(queue, jobs);
        done.push(...ids);
      }),
    );
    if (done.length > 0) await stampEnqueued(database, clock, done);
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (failure?.status === "rejected") throw failure.reason;
  }

  /** The job that a row orders; undefined, and an error in the log, for one that can never be done. */
  #toOrder(row: OutboxRow): JobOrder | undefined {
    const { logger } = this.#options;
    const definition = jobNamed(row.name);
    if (definition === undefined) {
      logger.error({ id: row.id, job: row.name }, "the outbox orders a job that nobody knows");
      return undefined;
    }
    const parsed = definition.schema.safeParse(row.payload);
    if (!parsed.success) {
      // It would fail for ever, and everything behind it would wait.
      logger.error({ id: row.id, job: row.name, err: parsed.error }, "the outbox orders a job that is malformed");
      return undefined;
    }
    const id = definition.id?.(parsed.data);
    const origin = {
      requestId: row.request_id,
      ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    };
    // A queue takes no second job of an id that it still knows, ended ones included: under an id that comes again, an
    // ended job must not stay, or the next order (a mail to be tried again) would be taken for the last one.
    return { definition, data: parsed.data, options: { id: id ?? row.id, keep: id === undefined, origin } };
  }

  /** Looks where the stream ends, makes it if it is not there, and has sent again what it has lost. */
  async #prepareStream(): Promise<void> {
    const { bus, clock, database, logger } = this.#options;
    const { connection } = bus;
    const nowMs = clock.nowMs();
    if (connection === undefined || (this.#tail !== undefined && nowMs - this.#mendedAtMs < MEND_MS)) return;
    const mended = await mendStream(database, clock, {
      read: () => readEventStream(connection),
      ensure: () => ensureEventStream(connection),
    });
    this.#tail = mended?.tail;
    if (mended === undefined) return;
    this.#mendedAtMs = nowMs;
    if (mended.requeued > 0)
      logger.error({ events: mended.requeued }, "the stream has lost events; they are sent again");
  }

  #beat(): void {
    const { bus, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs - this.#beatAtMs < HEARTBEAT_MS) return;
    this.#beatAtMs = nowMs;
    bus.publish(PUSH_SUBJECTS.heartbeat, { at: nowMs });
  }
}
