import { sql } from "drizzle-orm";
import { check, index, integer, jsonb, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { billingAccounts } from "./billing.ts";
import { createdAt, id, instant, oneOf, updatedAt } from "./columns.ts";
import { projects } from "./projects.ts";

export const WEBHOOK_ENDPOINT_STATUSES = ["enabled", "disabled"] as const;
/** `owner` switched it off; `gone`: it answered 410; `failing`: nothing got through for days. */
export const WEBHOOK_DISABLED_REASONS = ["owner", "gone", "failing"] as const;

/** Where a project or a billing account wants to be told of events. Secrets are sealed. */
export const webhookEndpoints = pgTable(
  "webhook_endpoints",
  {
    id: id().primaryKey(),
    projectId: id("project_id").references(() => projects.id),
    billingAccountId: id("billing_account_id").references(() => billingAccounts.id),
    url: text("url").notNull(),
    description: text("description").notNull().default(""),
    events: jsonb("events").$type<string[]>().notNull(),
    status: text("status", { enum: WEBHOOK_ENDPOINT_STATUSES }).notNull(),
    disabledReason: text("disabled_reason", { enum: WEBHOOK_DISABLED_REASONS }),
    disabledAt: instant("disabled_at"),
    secretSealed: text("secret_sealed").notNull(),
    /** Signs beside the new one until then. */
    previousSecretSealed: text("previous_secret_sealed"),
    previousSecretExpiresAt: instant("previous_secret_expires_at"),
    /** The first failure since the last success. */
    failingSince: instant("failing_since"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    deletedAt: instant("deleted_at"),
  },
  (t) => [
    index("webhook_endpoints_project_id_idx").on(t.projectId, t.createdAt).where(sql`deleted_at is null`),
    index("webhook_endpoints_billing_account_id_idx")
      .on(t.billingAccountId, t.createdAt)
      .where(sql`deleted_at is null`),
    check("webhook_endpoints_owner_check", sql`(project_id is null) <> (billing_account_id is null)`),
    check("webhook_endpoints_status_check", oneOf("status", WEBHOOK_ENDPOINT_STATUSES)),
    check(
      "webhook_endpoints_disabled_reason_check",
      sql`disabled_reason is null or ${oneOf("disabled_reason", WEBHOOK_DISABLED_REASONS)}`,
    ),
  ],
);

export const WEBHOOK_DELIVERY_STATUSES = ["pending", "succeeded", "failed"] as const;

/** One try at delivering: what came back, or why nothing did. */
export interface WebhookAttempt {
  readonly at: string;
  readonly durationMs: number;
  readonly status: number | null;
  readonly error: string | null;
  /** The beginning of the answer's body. */
  readonly body: string;
}

/** One event for one endpoint: a row first, a job second, so an emptied queue delays and never forgets. */
export const webhookDeliveries = pgTable(
  "webhook_deliveries",
  {
    id: id().primaryKey(),
    endpointId: id("endpoint_id")
      .notNull()
      .references(() => webhookEndpoints.id),
    /** The `webhook-id` that receivers tell repetitions by: the event's id. */
    messageId: id("message_id").notNull(),
    eventType: text("event_type").notNull(),
    /** The very text that is signed. */
    payload: text("payload").notNull(),
    status: text("status", { enum: WEBHOOK_DELIVERY_STATUSES }).notNull(),
    attempts: integer("attempts").notNull().default(0),
    attemptLog: jsonb("attempt_log").$type<WebhookAttempt[]>().notNull().default([]),
    nextAttemptAt: instant("next_attempt_at").notNull(),
    /** A worker that is delivering it holds it until then; after that another may try. */
    claimedUntil: instant("claimed_until"),
    createdAt: createdAt(),
    completedAt: instant("completed_at"),
  },
  (t) => [
    uniqueIndex("webhook_deliveries_message_key").on(t.endpointId, t.messageId),
    index("webhook_deliveries_due_idx").on(t.endpointId, t.nextAttemptAt).where(sql`status = 'pending'`),
    index("webhook_deliveries_endpoint_idx").on(t.endpointId, t.createdAt, t.id),
    index("webhook_deliveries_created_at_idx").on(t.createdAt),
    check("webhook_deliveries_status_check", oneOf("status", WEBHOOK_DELIVERY_STATUSES)),
  ],
);
