import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { count, createdAt, id, instant, oneOf } from "./columns.ts";

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
    sentAt: instant("sent_at"),
  },
  (t) => [
    index("outbox_unsent_idx").on(t.createdAt, t.ordinal, t.id).where(sql`sent_at is null`),
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
