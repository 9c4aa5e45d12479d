import { sql } from "drizzle-orm";
import { boolean, check, index, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
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

/** One signed-in device. The refresh token rotates; the spent ones are remembered by their family, so reuse shows. */
export const sessions = pgTable(
  "sessions",
  {
    id: id().primaryKey(),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    refreshHash: text("refresh_hash").notNull(),
    previousRefreshHash: text("previous_refresh_hash"),
    userAgent: text("user_agent"),
    ip: text("ip"),
    createdAt: createdAt(),
    lastUsedAt: instant("last_used_at").notNull(),
    expiresAt: instant("expires_at").notNull(),
    revokedAt: instant("revoked_at"),
  },
  (t) => [
    uniqueIndex("sessions_refresh_hash_key").on(t.refreshHash),
    index("sessions_previous_refresh_hash_idx").on(t.previousRefreshHash),
    index("sessions_customer_id_idx").on(t.customerId, t.createdAt),
  ],
);

/** Keys that sign access tokens and the gateway's tokens to upstreams; the private half is sealed under the master secret. */
export const signingKeys = pgTable("signing_keys", {
  id: id().primaryKey(),
  publicJwk: jsonb("public_jwk").$type<Record<string, unknown>>().notNull(),
  privateSealed: text("private_sealed").notNull(),
  createdAt: createdAt(),
  retiredAt: instant("retired_at"),
});
