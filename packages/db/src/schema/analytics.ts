import type { AnalyticsSinkName } from "@tollgate/contracts";
import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";

export const ANALYTICS_STATUSES = ["pending", "sent", "refused"] as const;

/** Events on their way to a sink: a row first, so that a sink that is away for days delays and loses nothing. */
export const analyticsDeliveries = pgTable(
  "analytics_deliveries",
  {
    id: id().primaryKey(),
    sink: text("sink").$type<AnalyticsSinkName>().notNull(),
    eventId: id("event_id").notNull(),
    subject: text("subject").notNull(),
    /** Whom it is about, so that it goes with them. */
    customerId: id("customer_id"),
    /** What the sink is told, already reduced to what it needs. */
    payload: jsonb("payload").$type<Record<string, unknown>>().notNull(),
    status: text("status", { enum: ANALYTICS_STATUSES }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    lastError: text("last_error"),
    nextAttemptAt: instant("next_attempt_at").notNull(),
    claimedUntil: instant("claimed_until"),
    createdAt: createdAt(),
    sentAt: instant("sent_at"),
  },
  (t) => [
    uniqueIndex("analytics_deliveries_event_key").on(t.sink, t.eventId),
    index("analytics_deliveries_due_idx").on(t.sink, t.nextAttemptAt).where(sql`status = 'pending'`),
    index("analytics_deliveries_created_at_idx").on(t.createdAt, t.id),
    index("analytics_deliveries_customer_id_idx").on(t.customerId).where(sql`customer_id is not null`),
    check("analytics_deliveries_status_check", oneOf("status", ANALYTICS_STATUSES)),
  ],
);

/** Under what a mailing list knows a customer, so that a change of address moves them and an erasure finds them. */
export const analyticsContacts = pgTable(
  "analytics_contacts",
  {
    customerId: id("customer_id").notNull(),
    sink: text("sink").$type<AnalyticsSinkName>().notNull(),
    /** The list's own name for an address: a hash of it. */
    contactId: text("contact_id").notNull(),
    updatedAt: updatedAt(),
  },
  (t) => [primaryKey({ columns: [t.customerId, t.sink] })],
);
