import { check, index, integer, pgTable, text } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf } from "./columns.ts";

export const VERIFICATION_PURPOSES = ["signup", "recover", "email_change"] as const;

/** A secret that was mailed to prove an address. Stored hashed, single use, with few attempts. */
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
    index("verifications_email_idx").on(t.email, t.purpose, t.createdAt),
    index("verifications_secret_hash_idx").on(t.secretHash),
    check("verifications_purpose_check", oneOf("purpose", VERIFICATION_PURPOSES)),
  ],
);
