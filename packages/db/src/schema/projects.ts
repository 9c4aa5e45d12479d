import { check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { billingAccounts } from "./billing.ts";
import { createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";
import { customers } from "./customers.ts";

export const PROJECT_ROLES = ["owner", "admin", "developer", "billing", "viewer"] as const;

/** What calls APIs: owns keys and usage. */
export const projects = pgTable(
  "projects",
  {
    id: id().primaryKey(),
    name: text("name").notNull(),
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    monthlySpendCapMicros: micros("monthly_spend_cap_micros"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    deletedAt: instant("deleted_at"),
  },
  (t) => [index("projects_billing_account_id_idx").on(t.billingAccountId, t.createdAt)],
);

export const projectMembers = pgTable(
  "project_members",
  {
    projectId: id("project_id")
      .notNull()
      .references(() => projects.id),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    role: text("role", { enum: PROJECT_ROLES }).notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.projectId, t.customerId] }),
    index("project_members_customer_id_idx").on(t.customerId, t.createdAt),
    check("project_members_role_check", oneOf("role", PROJECT_ROLES)),
  ],
);
