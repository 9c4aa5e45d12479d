import { index, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { createdAt, id } from "./columns.ts";

/** Who did what to which record, with what it was before and after. Written in the mutation's own transaction. */
export const auditLog = pgTable(
  "audit_log",
  {
    id: id().primaryKey(),
    actor: text("actor").notNull(),
    action: text("action").notNull(),
    subject: text("subject").notNull(),
    before: jsonb("before").$type<Record<string, unknown>>(),
    after: jsonb("after").$type<Record<string, unknown>>(),
    requestId: text("request_id").notNull(),
    ip: text("ip"),
    createdAt: createdAt(),
  },
  (t) => [
    index("audit_log_created_at_idx").on(t.createdAt, t.id),
    index("audit_log_subject_idx").on(t.subject, t.createdAt),
    index("audit_log_actor_idx").on(t.actor, t.createdAt),
  ],
);
