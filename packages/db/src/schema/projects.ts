import { sql } from "drizzle-orm";
import { check, index, integer, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { billingAccounts } from "./billing.ts";
import { count, createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";
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
    /** The name under which it is shown among the top users, if it wants to be; */
    rankingName: text("ranking_name"),
    /** and its calls in the 30 days before the last ranking. */
    rankedCalls: count("ranked_calls").notNull().default(0),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    deletedAt: instant("deleted_at"),
  },
  (t) => [
    index("projects_billing_account_id_idx").on(t.billingAccountId, t.createdAt),
    index("projects_ranked_calls_idx").on(t.rankedCalls).where(sql`ranking_name is not null`),
  ],
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

/**
 * An open invitation of an address to a project. It ends as a membership, or it is declined, revoked or forgotten: then the
 * row goes. Its id is random and is what the mailed link carries; who accepts must have the address.
 */
export const projectInvites = pgTable(
  "project_invites",
  {
    id: id().primaryKey(),
    projectId: id("project_id")
      .notNull()
      .references(() => projects.id),
    email: text("email").notNull(),
    role: text("role", { enum: PROJECT_ROLES }).notNull(),
    invitedBy: id("invited_by").notNull(),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
    /** How often it was mailed of late, and when last: a person must not be flooded. */
    mailsSent: integer("mails_sent").notNull(),
    mailedAt: instant("mailed_at").notNull(),
  },
  (t) => [
    uniqueIndex("project_invites_subject_key").on(t.projectId, t.email),
    index("project_invites_email_idx").on(t.email, t.expiresAt),
    check("project_invites_role_check", oneOf("role", PROJECT_ROLES)),
  ],
);
