import { sql } from "drizzle-orm";
import { boolean, check, doublePrecision, index, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { billingAccounts } from "./billing.ts";
import { createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";
import { projects } from "./projects.ts";

export const ALERT_RULE_KINDS = ["balanceBelow", "spendAbove", "errorRateAbove", "noUsage"] as const;
/** `unknown`: there is nothing to tell by yet. */
export const ALERT_RULE_STATES = ["unknown", "ok", "firing"] as const;

/** What somebody wants to be warned of, and whether it is so at the moment. Addresses of channels are sealed: they are secrets. */
export const alertRules = pgTable(
  "alert_rules",
  {
    id: id().primaryKey(),
    projectId: id("project_id").references(() => projects.id),
    billingAccountId: id("billing_account_id").references(() => billingAccounts.id),
    name: text("name").notNull(),
    kind: text("kind", { enum: ALERT_RULE_KINDS }).notNull(),
    thresholdMicros: micros("threshold_micros"),
    /** Errors among a hundred calls. */
    thresholdPercent: doublePrecision("threshold_percent"),
    windowHours: integer("window_hours").notNull(),
    channelsSealed: text("channels_sealed").notNull(),
    isEnabled: boolean("is_enabled").notNull().default(true),
    state: text("state", { enum: ALERT_RULE_STATES }).notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    evaluatedAt: instant("evaluated_at"),
  },
  (t) => [
    index("alert_rules_project_id_idx").on(t.projectId, t.createdAt),
    index("alert_rules_billing_account_id_idx").on(t.billingAccountId, t.createdAt),
    index("alert_rules_due_idx").on(t.evaluatedAt, t.id).where(sql`is_enabled`),
    check("alert_rules_owner_check", sql`(project_id is null) <> (billing_account_id is null)`),
    check("alert_rules_kind_check", oneOf("kind", ALERT_RULE_KINDS)),
    check("alert_rules_state_check", oneOf("state", ALERT_RULE_STATES)),
  ],
);

/** One firing of a rule, from the crossing to the recovery; or a report of a service, which is about nobody's rule. */
export const alerts = pgTable(
  "alerts",
  {
    id: id().primaryKey(),
    ruleId: id("rule_id"),
    projectId: id("project_id"),
    billingAccountId: id("billing_account_id"),
    customerId: id("customer_id"),
    title: text("title").notNull(),
    text: text("text").notNull(),
    details: jsonb("details").$type<Record<string, unknown>>().notNull().default({}),
    createdAt: createdAt(),
    resolvedAt: instant("resolved_at"),
    acknowledgedAt: instant("acknowledged_at"),
    acknowledgedBy: text("acknowledged_by"),
  },
  (t) => [
    index("alerts_project_id_idx").on(t.projectId, t.createdAt, t.id),
    index("alerts_billing_account_id_idx").on(t.billingAccountId, t.createdAt, t.id),
    index("alerts_rule_id_idx").on(t.ruleId, t.createdAt),
    index("alerts_created_at_idx").on(t.createdAt, t.id),
  ],
);

export const ALERT_MESSAGE_STATUSES = ["pending", "sent", "failed"] as const;

/** What an alert has to say on one channel: a row first, a job second. */
export const alertMessages = pgTable(
  "alert_messages",
  {
    id: id().primaryKey(),
    alertId: id("alert_id").notNull(),
    /** A hash of the channel's address, by which its pace is kept. */
    target: text("target").notNull(),
    channelSealed: text("channel_sealed").notNull(),
    title: text("title").notNull(),
    text: text("text").notNull(),
    isResolved: boolean("is_resolved").notNull(),
    status: text("status", { enum: ALERT_MESSAGE_STATUSES }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    lastError: text("last_error"),
    nextAttemptAt: instant("next_attempt_at").notNull(),
    claimedUntil: instant("claimed_until"),
    createdAt: createdAt(),
    sentAt: instant("sent_at"),
  },
  (t) => [
    index("alert_messages_due_idx").on(t.nextAttemptAt).where(sql`status = 'pending'`),
    index("alert_messages_target_idx").on(t.target, t.nextAttemptAt),
    check("alert_messages_status_check", oneOf("status", ALERT_MESSAGE_STATUSES)),
  ],
);
