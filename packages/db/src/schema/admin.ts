import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { apis } from "./catalog.ts";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";
import { projects } from "./projects.ts";

export const SECRET_PLACEMENTS = ["header", "query"] as const;

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
    index("audit_log_subject_created_at_idx").on(t.subject, t.createdAt, t.id),
    index("audit_log_actor_created_at_idx").on(t.actor, t.createdAt, t.id),
    index("audit_log_action_created_at_idx").on(t.action, t.createdAt, t.id),
  ],
);

/**
 * Credentials that the gateway adds to the requests of an API's upstream. The value is encrypted under a key of its own,
 * and that key under a master key: a new master key changes `master_key_id` and `wrapped_key`, never `sealed_value`.
 */
export const upstreamSecrets = pgTable(
  "upstream_secrets",
  {
    id: id().primaryKey(),
    apiId: id("api_id")
      .notNull()
      .references(() => apis.id),
    placement: text("placement", { enum: SECRET_PLACEMENTS }).notNull(),
    /** Of the header, in lower case, or of the query parameter. */
    name: text("name").notNull(),
    masterKeyId: text("master_key_id").notNull(),
    wrappedKey: text("wrapped_key").notNull(),
    sealedValue: text("sealed_value").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    uniqueIndex("upstream_secrets_place_key").on(t.apiId, t.placement, t.name),
    index("upstream_secrets_created_at_idx").on(t.createdAt, t.id),
    index("upstream_secrets_master_key_id_idx").on(t.masterKeyId, t.id),
    check("upstream_secrets_placement_check", oneOf("placement", SECRET_PLACEMENTS)),
  ],
);

/**
 * Every change of a setting, recorded once. etcd is where settings are set and watched; this is what processes begin with
 * while it is away, and what an emptied one is given back.
 */
export const settingChanges = pgTable(
  "setting_changes",
  {
    id: id().primaryKey(),
    name: text("name").notNull(),
    revision: integer("revision").notNull(),
    /** As JSON text: a setting may be null, which a column of JSON would take for nothing. */
    value: text("value").notNull(),
    actor: text("actor").notNull(),
    requestId: text("request_id").notNull(),
    rolledBackTo: integer("rolled_back_to"),
    changedAt: instant("changed_at").notNull(),
  },
  (t) => [index("setting_changes_name_idx").on(t.name, t.revision)],
);

export const DATA_DELETION_CAUSES = ["operator", "erasure"] as const;
export const DATA_DELETION_STATUSES = ["pending", "done", "skipped", "failed"] as const;

/** One time that an API was asked: what came back, or why nothing did. */
export interface DataDeletionAttempt {
  readonly at: string;
  readonly durationMs: number;
  readonly status: number | null;
  readonly error: string | null;
}

/**
 * What a published API is asked to delete of a project: a row first and a job second, so an emptied queue delays and never
 * forgets. While one is pending, nobody asks the same API a second time.
 */
export const dataDeletions = pgTable(
  "data_deletions",
  {
    id: id().primaryKey(),
    projectId: id("project_id")
      .notNull()
      .references(() => projects.id),
    apiId: id("api_id")
      .notNull()
      .references(() => apis.id),
    cause: text("cause", { enum: DATA_DELETION_CAUSES }).notNull(),
    status: text("status", { enum: DATA_DELETION_STATUSES }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    attemptLog: jsonb("attempt_log").$type<DataDeletionAttempt[]>().notNull().default([]),
    nextAttemptAt: instant("next_attempt_at").notNull(),
    /** A worker that is asking has it until then; after that another may. */
    claimedUntil: instant("claimed_until"),
    createdAt: createdAt(),
    completedAt: instant("completed_at"),
  },
  (t) => [
    uniqueIndex("data_deletions_pending_key").on(t.projectId, t.apiId).where(sql`status = 'pending'`),
    index("data_deletions_due_idx").on(t.nextAttemptAt).where(sql`status = 'pending'`),
    index("data_deletions_project_id_idx").on(t.projectId, t.createdAt, t.id),
    index("data_deletions_created_at_idx").on(t.createdAt, t.id),
    check("data_deletions_cause_check", oneOf("cause", DATA_DELETION_CAUSES)),
    check("data_deletions_status_check", oneOf("status", DATA_DELETION_STATUSES)),
  ],
);
