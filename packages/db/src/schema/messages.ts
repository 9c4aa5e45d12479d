import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { appendedAt, count, createdAt, id, instant, int8, oneOf } from "./columns.ts";

export const OUTBOX_KINDS = ["event", "job"] as const;

/**
 * What a committed transaction has to say: events for NATS and jobs for the queues, in the same transaction as the change
 * they speak of. A relay sends them and stamps them; one that was sent twice is recognised by its id.
 */
export const outbox = pgTable(
  "outbox",
  {
    id: id().primaryKey(),
    kind: text("kind", { enum: OUTBOX_KINDS }).notNull(),
    /** An event's subject, or a job's name. */
    name: text("name").notNull(),
    version: integer("version").notNull(),
    payload: jsonb("payload").$type<Record<string, unknown>>().notNull(),
    actor: text("actor").notNull(),
    requestId: text("request_id").notNull(),
    traceparent: text("traceparent"),
    createdAt: createdAt(),
    /** Tells rows of the same instant apart: what a process appended first comes first. */
    ordinal: count("ordinal").notNull(),
    appendedAt: appendedAt(),
    sentAt: instant("sent_at"),
  },
  (t) => [
    index("outbox_waiting_idx").on(t.kind, t.appendedAt, t.ordinal, t.id).where(sql`sent_at is null`),
    index("outbox_sent_at_idx").on(t.sentAt),
    check("outbox_kind_check", oneOf("kind", OUTBOX_KINDS)),
  ],
);

/** Which consumer has handled which event, written in the same transaction as the effect. */
export const inbox = pgTable(
  "inbox",
  {
    consumer: text("consumer").notNull(),
    eventId: id("event_id").notNull(),
    handledAt: instant("handled_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.consumer, t.eventId] }), index("inbox_handled_at_idx").on(t.handledAt)],
);

export const PARKED_STATUSES = ["waiting", "dead"] as const;
export const PARKED_REASONS = ["failed", "blocked", "malformed", "unknown_version"] as const;

/**
 * Events that a consumer has not been able to handle. One that failed waits for its next attempt, and later ones of its
 * lane wait behind it, so that the others go on and the order stays. After the last attempt it is a dead letter, which
 * an operator replays or discards. The row has the whole event: the stream may lose it.
 */
export const parkedEvents = pgTable(
  "parked_events",
  {
    id: id().primaryKey(),
    consumer: text("consumer").notNull(),
    eventId: id("event_id").notNull(),
    subject: text("subject").notNull(),
    lane: text("lane").notNull(),
    /** The envelope as it came; what is no JSON under `text`. */
    envelope: jsonb("envelope").$type<Record<string, unknown>>().notNull(),
    status: text("status", { enum: PARKED_STATUSES }).notNull(),
    reason: text("reason", { enum: PARKED_REASONS }).notNull(),
    attempts: integer("attempts").notNull(),
    lastError: text("last_error"),
    nextAttemptAt: instant("next_attempt_at").notNull(),
    createdAt: createdAt(),
    appendedAt: appendedAt(),
    diedAt: instant("died_at"),
  },
  (t) => [
    uniqueIndex("parked_events_consumer_event_id_key").on(t.consumer, t.eventId),
    index("parked_events_lane_idx").on(t.consumer, t.lane, t.appendedAt, t.id).where(sql`status = 'waiting'`),
    index("parked_events_next_attempt_at_idx").on(t.nextAttemptAt).where(sql`status = 'waiting'`),
    index("parked_events_died_at_idx").on(t.diedAt, t.id).where(sql`status = 'dead'`),
    check("parked_events_status_check", oneOf("status", PARKED_STATUSES)),
    check("parked_events_reason_check", oneOf("reason", PARKED_REASONS)),
  ],
);

/** What the relays know in common: whose term it is to send, and how far the stream of events has come. */
export const relayTerms = pgTable("relay_terms", {
  name: text("name").primaryKey(),
  /** Grows with every leader: the reads of an earlier one are refused. */
  term: int8("term").notNull(),
  holder: text("holder").notNull(),
  beganAt: instant("began_at").notNull(),
  /** When the stream that was sent to was made, as NATS says it, and the last sequence that it has acknowledged. */
  streamCreated: text("stream_created"),
  streamSequence: int8("stream_sequence").notNull().default(sql`0`),
});
