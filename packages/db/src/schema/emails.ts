import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf } from "./columns.ts";

export const EMAIL_STATUSES = ["queued", "sent", "failed", "cancelled", "suppressed"] as const;

/** A mail to send: a row first, a job second, so an emptied queue delays and never forgets. */
export const emails = pgTable(
  "emails",
  {
    id: id().primaryKey(),
    template: text("template").notNull(),
    recipient: text("recipient").notNull(),
    data: jsonb("data").$type<Record<string, unknown>>().notNull(),
    status: text("status", { enum: EMAIL_STATUSES }).notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    /** A keyed hash of what a service asked for, so that the same key with another mail is seen. */
    requestHash: text("request_hash"),
    /** The invoice that goes along as a PDF, which is made when the mail is sent. Only the product itself attaches one. */
    attachedInvoiceId: id("attached_invoice_id"),
    attempts: integer("attempts").notNull().default(0),
    lastError: text("last_error"),
    createdAt: createdAt(),
    sendAt: instant("send_at").notNull(),
    /** A worker that is sending it holds it until then; after that another may try. */
    claimedUntil: instant("claimed_until"),
    sentAt: instant("sent_at"),
  },
  (t) => [
    uniqueIndex("emails_idempotency_key").on(t.idempotencyKey),
    index("emails_due_idx").on(t.sendAt).where(sql`status = 'queued'`),
    index("emails_cancelled_idx").on(t.createdAt).where(sql`status = 'cancelled'`),
    index("emails_recipient_idx").on(t.recipient, t.createdAt),
    index("emails_created_at_idx").on(t.createdAt, t.id),
    check("emails_status_check", oneOf("status", EMAIL_STATUSES)),
  ],
);

export const SUPPRESSION_REASONS = ["bounce", "complaint", "unsubscribe", "manual"] as const;

/** Addresses that get no more mails; of one that has unsubscribed, none of those that people may unsubscribe from. */
export const emailSuppressions = pgTable(
  "email_suppressions",
  {
    email: text("email").primaryKey(),
    reason: text("reason", { enum: SUPPRESSION_REASONS }).notNull(),
    createdAt: createdAt(),
  },
  () => [check("email_suppressions_reason_check", oneOf("reason", SUPPRESSION_REASONS))],
);
