import { check, index, integer, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";

export const VERIFICATION_PURPOSES = ["signup", "recover", "email_change"] as const;

/**
 * A secret that was mailed to prove an address. Stored hashed, single use, with few attempts. A person has one of each
 * purpose and address: the next mail replaces it, which is also how two mails within a minute are told apart from one.
 */
export const verifications = pgTable(
  "verifications",
  {
    id: id().primaryKey(),
    purpose: text("purpose", { enum: VERIFICATION_PURPOSES }).notNull(),
    email: text("email").notNull(),
    customerId: id("customer_id").notNull(),
    secretHash: text("secret_hash").notNull(),
    attempts: integer("attempts").notNull().default(0),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
    consumedAt: instant("consumed_at"),
  },
  (t) => [
    uniqueIndex("verifications_subject_key").on(t.email, t.purpose, t.customerId),
    index("verifications_customer_id_idx").on(t.customerId),
    index("verifications_expires_at_idx").on(t.expiresAt),
    check("verifications_purpose_check", oneOf("purpose", VERIFICATION_PURPOSES)),
  ],
);

/** Mailboxes that had the promotional grant, as keyed hashes, so that signing up again does not bring it again. */
export const promoClaims = pgTable("promo_claims", {
  mailboxHash: text("mailbox_hash").primaryKey(),
  createdAt: createdAt(),
});

/** How visitors came: what was seen first stays. The id is the visitor's, made in their browser. */
export const visits = pgTable(
  "visits",
  {
    id: id().primaryKey(),
    firstVisit: instant("first_visit"),
    firstVerification: instant("first_verification"),
    registration: instant("registration"),
    referrer: text("referrer"),
    email: text("email"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("visits_email_idx").on(t.email)],
);

/** Addresses that want to hear when there is room. */
export const waitlist = pgTable("waitlist", {
  email: text("email").primaryKey(),
  createdAt: createdAt(),
});
