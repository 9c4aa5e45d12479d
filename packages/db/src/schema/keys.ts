import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";
import { projects } from "./projects.ts";

export const KEY_MODES = ["live", "test"] as const;
export const KEY_STATUSES = ["active", "blocked", "revoked"] as const;
/** Why a key is blocked: an operator blocked it, or its owner is banned. Lifting one does not lift the other. */
export const KEY_BLOCKED_BY = ["operator", "ban"] as const;

/** A secret that authenticates calls of one project. Only its SHA-256 is kept. Expiry is an instant, not a status. */
export const keys = pgTable(
  "keys",
  {
    id: id().primaryKey(),
    projectId: id("project_id")
      .notNull()
      .references(() => projects.id),
    name: text("name").notNull(),
    hash: text("hash").notNull(),
    start: text("start").notNull(),
    mode: text("mode", { enum: KEY_MODES }).notNull(),
    status: text("status", { enum: KEY_STATUSES }).notNull(),
    blockedMessage: text("blocked_message"),
    blockedBy: text("blocked_by", { enum: KEY_BLOCKED_BY }),
    scopes: jsonb("scopes").$type<string[]>().notNull(),
    allowedCidrs: jsonb("allowed_cidrs").$type<string[]>(),
    rateLimitPerSecond: integer("rate_limit_per_second"),
    monthlySpendCapMicros: micros("monthly_spend_cap_micros"),
    /** The first key of a rotation chain. Caps and limits are kept under it, so a rotated pair shares them. */
    rootKeyId: id("root_key_id").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    expiresAt: instant("expires_at"),
    revokedAt: instant("revoked_at"),
    /** When it was announced that the key has expired; null again when it gets another expiry. */
    expiryAnnouncedAt: instant("expiry_announced_at"),
  },
  (t) => [
    uniqueIndex("keys_hash_key").on(t.hash),
    index("keys_project_id_idx").on(t.projectId, t.createdAt, t.id),
    // What the sweep looks for.
    index("keys_expiring_idx").on(t.expiresAt).where(sql`expires_at is not null and expiry_announced_at is null`),
    check("keys_mode_check", oneOf("mode", KEY_MODES)),
    check("keys_status_check", oneOf("status", KEY_STATUSES)),
    check("keys_blocked_by_check", oneOf("blocked_by", KEY_BLOCKED_BY)),
  ],
);

/** When a key was last used: in a table of its own, so that noting a use can never write back an old status. */
export const keyActivity = pgTable("key_activity", {
  keyId: id("key_id").primaryKey(),
  lastUsedAt: instant("last_used_at").notNull(),
});
