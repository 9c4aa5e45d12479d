import { boolean, check, index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { count, createdAt, id, micros, oneOf, updatedAt } from "./columns.ts";
import { customers } from "./customers.ts";

export const OVERAGE_POLICIES = ["block", "invoice"] as const;

/** Plans. They ship as seed data; the id is the plan's name. */
export const tiers = pgTable(
  "tiers",
  {
    id: id().primaryKey(),
    displayName: text("display_name").notNull(),
    rank: integer("rank").notNull(),
    monthlyPriceMicros: micros("monthly_price_micros").notNull(),
    freeCallsPerMonth: count("free_calls_per_month").notNull(),
    rateLimitPerSecond: integer("rate_limit_per_second").notNull(),
    overage: text("overage", { enum: OVERAGE_POLICIES }).notNull(),
    creditLimitMicros: micros("credit_limit_micros").notNull(),
    rollsOver: boolean("rolls_over").notNull().default(false),
  },
  () => [check("tiers_overage_check", oneOf("overage", OVERAGE_POLICIES))],
);

/** Who pays: owns the wallet, the tier and the invoices. */
export const billingAccounts = pgTable(
  "billing_accounts",
  {
    id: id().primaryKey(),
    name: text("name").notNull(),
    tierId: id("tier_id")
      .notNull()
      .references(() => tiers.id),
    timeZone: text("time_zone").notNull().default("UTC"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("billing_accounts_created_at_idx").on(t.createdAt, t.id)],
);

export const billingAccountAdmins = pgTable(
  "billing_account_admins",
  {
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.billingAccountId, t.customerId] }),
    index("billing_account_admins_customer_id_idx").on(t.customerId),
  ],
);
