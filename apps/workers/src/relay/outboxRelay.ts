import type { EventEnvelope } from "@tollgate/contracts";
import { EVENT_SUBJECT_PREFIX, PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import { delay } from "@tollgate/kernel";
import type { PushBus, Queues } from "@tollgate/messaging";
import { jetstream, jetstreamManager } from "@tollgate/messaging";
import { jobNamed } from "../jobCatalogue.ts";

/**
 * Sends what committed transactions have to say: events to JetStream, jobs to the queues. It reads unsent rows in order,
 * sends them in order and stamps them; several relays side by side send some rows twice, and the stream, the queues and
 * the consumers recognise them by their ids. Because each relay sends in order, the first copy of every row is in order.
 *
 * While it gets through, it says so once a second: gateways trust their caches only as long as they hear that.
 */
const POLL_MS = 50;
const ROWS_MAX = 500;
const HEARTBEAT_MS = 1_000;
const PUBLISH_TIMEOUT_MS = 3_000;
const PAUSE_AFTER_FAILURE_MS = 250;

export const EVENT_STREAM = "TOLLGATE_EVENTS";
const DAY_NS = 86_400_000_000_000;
const EVENT_RETENTION_DAYS = 7;
const DUPLICATE_WINDOW_NS = 120_000_000_000;

interface OutboxRow {
  readonly id: string;
  readonly kind: "event" | "job";
  readonly name: string;
  readonly version: number;
  readonly payload: Record<string, unknown>;
  readonly actor: string;
  readonly request_id: string;
  readonly traceparent: string | null;
  readonly created_at: Date;
}

export class OutboxRelay {
  readonly #database: Database;
  readonly #bus: PushBus;
  readonly #queues: Queues;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #isStreamReady = false;
  #beatAtMs = 0;
  #running: Promise<void> | undefined;

  constructor(options: { database: Database; bus: PushBus; queues: Queues; clock: Clock; logger: Logger }) {
    this.#database = options.database;
    this.#bus = options.bus;
    this.#queues = options.queues;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const sent = await this.#sendSome();
        this.#beat();
        if (sent < ROWS_MAX) await delay(POLL_MS, signal);
      } catch (error) {
        this.#logger.warn({ err: error }, "the outbox cannot be sent; trying again");
        this.#isStreamReady = false;
        await delay(PAUSE_AFTER_FAILURE_MS, signal);
      }
    }
  }

  async #sendSome(): Promise<number> {
    if (this.#bus.connection !== undefined && !this.#isStreamReady) await this.#ensureStream();
    const [events, jobs] = await Promise.all([this.#readUnsent("event"), this.#readUnsent("job")]);
    if (events.length === 0 && jobs.length === 0) return 0;
    const outcomes = await Promise.allSettled([
      this.#sendAll(events, (row) => this.#publish(row)),
      this.#sendAll(jobs, (row) => this.#enqueue(row)),
    ]);
    const sent = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value.sent : []));
    if (sent.length > 0) {
      await this.#database.sql`update outbox set sent_at = ${this.#clock.now()} where id = any(${sent})`;
    }
    const failure = outcomes.find((outcome) => outcome.status === "fulfilled" && outcome.value.failure !== undefined);
    if (failure?.status === "fulfilled") throw failure.value.failure;
    return Math.max(events.length, jobs.length);
  }

  /** Each kind by itself: events that wait for NATS must not stand in the way of jobs, nor jobs that wait for Redis. */
  #readUnsent(kind: OutboxRow["kind"]): Promise<OutboxRow[]> {
    return this.#database.sql<OutboxRow[]>`
      select id, kind, name, version, payload, actor, request_id, traceparent, created_at from outbox
      where sent_at is null and kind = ${kind} order by created_at, ordinal, id limit ${ROWS_MAX}`;
  }

  /** One after the other, up to the first that fails: what comes after it must not overtake it. */
  async #sendAll(
    rows: readonly OutboxRow[],
    send: (row: OutboxRow) => Promise<void>,
  ): Promise<{ sent: string[]; failure?: unknown }> {
    const sent: string[] = [];
    for (const row of rows) {
      try {
        await send(row);
        sent.push(row.id);
      } catch (error) {
        return { sent, failure: error };
      }
    }
    return { sent };
  }

  async #publish(row: OutboxRow): Promise<void> {
    const { connection } = this.#bus;
    if (connection === undefined) throw new Error("NATS is not connected");
    const envelope: EventEnvelope = {
      id: row.id,
      subject: row.name,
      version: row.version,
      time: row.created_at.toISOString(),
      actor: row.actor,
      requestId: row.request_id,
      ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
      data: row.payload,
    };
    await jetstream(connection).publish(`${EVENT_SUBJECT_PREFIX}${row.name}`, JSON.stringify(envelope), {
      msgID: row.id,
      timeout: PUBLISH_TIMEOUT_MS,
    });
  }

  async #enqueue(row: OutboxRow): Promise<void> {
    const definition = jobNamed(row.name);
    if (definition === undefined) {
      this.#logger.error({ id: row.id, job: row.name }, "the outbox orders a job that nobody knows");
      return;
    }
    const parsed = definition.schema.safeParse(row.payload);
    if (!parsed.success) {
      // It would fail for ever, and everything behind it would wait.
      this.#logger.error({ id: row.id, job: row.name, err: parsed.error }, "the outbox orders a job that is malformed");
      return;
    }
    const { data } = parsed;
    const id = definition.id?.(data);
    // A queue takes no second job of an id that it still knows, ended ones included: under an id that comes again, an
    // ended job must not stay, or the next order (a mail to be tried again) would be taken for the last one.
    await this.#queues.enqueue(definition, data, { id: id ?? row.id, keep: id === undefined });
  }

  async #ensureStream(): Promise<void> {
    const { connection } = this.#bus;
    if (connection === undefined) return;
    const manager = await jetstreamManager(connection, { timeout: PUBLISH_TIMEOUT_MS });
    const config = {
      name: EVENT_STREAM,
      subjects: [`${EVENT_SUBJECT_PREFIX}>`],
      max_age: EVENT_RETENTION_DAYS * DAY_NS,
      duplicate_window: DUPLICATE_WINDOW_NS,
    };
    const exists = await manager.streams.info(EVENT_STREAM).then(
      () => true,
      () => false,
    );
    if (exists) await manager.streams.update(EVENT_STREAM, config);
    else await manager.streams.add(config);
    this.#isStreamReady = true;
  }

  #beat(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#beatAtMs < HEARTBEAT_MS || !this.#isStreamReady) return;
    this.#beatAtMs = nowMs;
    this.#bus.publish(PUSH_SUBJECTS.heartbeat, { at: nowMs });
  }
}
