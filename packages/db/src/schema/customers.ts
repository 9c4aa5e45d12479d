import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
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
    /** Made by the product itself, to walk through it: no person, no mail, in no statistics. */
    isInternal: boolean("is_internal").notNull().default(false),
    meta: jsonb("meta").$type<Record<string, unknown>>().notNull().default({}),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    deletedAt: instant("deleted_at"),
  },
  (t) => [
    // A deleted customer does not keep the address: the same person may sign up again.
    uniqueIndex("customers_email_live_key").on(t.email).where(sql`deleted_at is null`),
    // The beginning of an address is looked for among all customers.
    index("customers_email_idx").on(t.email),
    index("customers_created_at_idx").on(t.createdAt, t.id),
    index("customers_internal_idx").on(t.createdAt).where(sql`is_internal`),
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

/**
 * Bans that stand. The mailbox is kept as a keyed hash and outlives the customer, so that neither another spelling of the
 * address nor a deletion lets the same person sign up again.
 */
export const customerBans = pgTable(
  "customer_bans",
  {
    customerId: id("customer_id").primaryKey(),
    mailboxHash: text("mailbox_hash").notNull(),
    reason: text("reason").notNull(),
    /** What the customer was, and is again when the ban is lifted. */
    previousStatus: text("previous_status", { enum: CUSTOMER_STATUSES }).notNull(),
    createdAt: createdAt(),
  },
  (t) => [index("customer_bans_mailbox_hash_idx").on(t.mailboxHash)],
);

/** The keys that a ban took: lifting it gives back these and no others. */
export const customerBanKeys = pgTable(
  "customer_ban_keys",
  { customerId: id("customer_id").notNull(), keyId: id("key_id").notNull() },
  (t) => [primaryKey({ columns: [t.customerId, t.keyId] })],
);

export const EXPORT_STATUSES = ["queued", "ready"] as const;

/** Everything that is held about a person, put together at their wish. The text is sealed under the master secret. */
export const customerExports = pgTable(
  "customer_exports",
  {
    id: id().primaryKey(),
    customerId: id("customer_id").notNull(),
    status: text("status", { enum: EXPORT_STATUSES }).notNull(),
    tokenHash: text("token_hash"),
    body: text("body"),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
  },
  (t) => [
    uniqueIndex("customer_exports_queued_key").on(t.customerId).where(sql`status = 'queued'`),
    uniqueIndex("customer_exports_token_hash_key").on(t.tokenHash),
    index("customer_exports_customer_id_idx").on(t.customerId, t.createdAt),
    index("customer_exports_expires_at_idx").on(t.expiresAt),
    check("customer_exports_status_check", oneOf("status", EXPORT_STATUSES)),
  ],
);

/** Deleted customers whose data is to be erased, or has been. */
export const erasures = pgTable(
  "erasures",
  {
    customerId: id("customer_id").primaryKey(),
    createdAt: createdAt(),
    dueAt: instant("due_at").notNull(),
    finishedAt: instant("finished_at"),
  },
  (t) => [index("erasures_due_idx").on(t.dueAt).where(sql`finished_at is null`)],
);

export const ERASURE_STEP_STATUSES = ["pending", "done", "skipped"] as const;

/** How far an erasure is, step by step: what is done is done in the same transaction, and a new attempt goes on from there. */
export const erasureSteps = pgTable(
  "erasure_steps",
  {
    customerId: id("customer_id").notNull(),
    step: text("step").notNull(),
    status: text("status", { enum: ERASURE_STEP_STATUSES }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    lastError: text("last_error"),
    /** What was done, in numbers and ids; nothing personal. */
    detail: jsonb("detail").$type<Record<string, unknown>>(),
    finishedAt: instant("finished_at"),
  },
  (t) => [
    primaryKey({ columns: [t.customerId, t.step] }),
    check("erasure_steps_status_check", oneOf("status", ERASURE_STEP_STATUSES)),
  ],
);
