import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";

export const CUSTOMER_STATUSES = ["unverified", "verified", "banned", "deleted"] as const;

/** People with a login. `email` is trimmed and lower-cased before it comes here. */
export const customers = pgTable(
  "customers",
  {
    id: id().primaryKey(),
    email: text("email").notNull(),
    name: text("name"),
    status: text("status", { enum: CUSTOMER_STATUSES }).notNull(),
    isOperator: boolean("is_operator").notNull().default(false),
    meta: jsonb("meta").$type<Record<string, unknown>>().notNull().default({}),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    deletedAt: instant("deleted_at"),
  },
  (t) => [
    // A deleted customer does not keep the address: the same person may sign up again.
    uniqueIndex("customers_email_live_key").on(t.email).where(sql`deleted_at is null`),
    index("customers_created_at_idx").on(t.createdAt, t.id),
    check("customers_status_check", oneOf("status", CUSTOMER_STATUSES)),
  ],
);

/** The password of a customer, apart from the customer, so that reading a customer never reads a hash. */
export const passwords = pgTable("passwords", {
  customerId: id("customer_id")
    .primaryKey()
    .references(() => customers.id),
  hash: text("hash").notNull(),
  updatedAt: updatedAt(),
});

/**
 * One signed-in device. Its refresh token rotates and only the hash of the present one is kept; a spent one still proves
 * by its own seal that it was issued for this session, so its reuse shows however old it is.
 */
export const sessions = pgTable(
  "sessions",
  {
    id: id().primaryKey(),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    refreshHash: text("refresh_hash").notNull(),
    userAgent: text("user_agent"),
    ip: text("ip"),
    createdAt: createdAt(),
    lastUsedAt: instant("last_used_at").notNull(),
    expiresAt: instant("expires_at").notNull(),
    revokedAt: instant("revoked_at"),
  },
  (t) => [
    uniqueIndex("sessions_refresh_hash_key").on(t.refreshHash),
    index("sessions_customer_id_idx").on(t.customerId, t.createdAt),
  ],
);

/** Keys that sign access tokens and the gateway's tokens to upstreams; the private half is sealed under the master secret. */
export const signingKeys = pgTable(
  "signing_keys",
  {
    id: id().primaryKey(),
    /** 1, 2, 3, …: of two processes that make the next key at once, one wins. */
    generation: integer("generation").notNull(),
    publicJwk: jsonb("public_jwk").$type<Record<string, unknown>>().notNull(),
    privateSealed: text("private_sealed").notNull(),
    createdAt: createdAt(),
    retiredAt: instant("retired_at"),
  },
  (t) => [uniqueIndex("signing_keys_generation_key").on(t.generation)],
);

/** How often something that may be guessed was tried of late, and until when it must not be tried again. */
export const throttles = pgTable(
  "throttles",
  {
    /** What is throttled, for example `login_email:<hash>`. */
    id: id().primaryKey(),
    attempts: integer("attempts").notNull(),
    blockedUntil: instant("blocked_until").notNull(),
    updatedAt: updatedAt(),
  },
  (t) => [index("throttles_updated_at_idx").on(t.updatedAt)],
);
