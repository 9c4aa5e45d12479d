import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { apis } from "./catalog.ts";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";

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
