import { check, index, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, oneOf } from "./columns.ts";
import { customers } from "./customers.ts";

/** What somebody is told inside the product: one row a person and event. */
export const notifications = pgTable(
  "notifications",
  {
    id: id().primaryKey(),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    eventId: id("event_id").notNull(),
    type: text("type").notNull(),
    text: text("text").notNull(),
    /** What it is about. Whoever may no longer see that does not see the notification either. */
    projectId: id("project_id"),
    billingAccountId: id("billing_account_id"),
    apiId: id("api_id"),
    createdAt: createdAt(),
    readAt: instant("read_at"),
  },
  (t) => [
    uniqueIndex("notifications_event_key").on(t.customerId, t.eventId),
    index("notifications_customer_id_idx").on(t.customerId, t.createdAt, t.id),
  ],
);

export const NOTIFICATION_RESOURCES = ["project", "billingAccount", "api"] as const;

/** What somebody wants to hear of beyond what they are responsible for. */
export const notificationSubscriptions = pgTable(
  "notification_subscriptions",
  {
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    resourceType: text("resource_type", { enum: NOTIFICATION_RESOURCES }).notNull(),
    resourceId: id("resource_id").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.customerId, t.resourceType, t.resourceId] }),
    index("notification_subscriptions_resource_idx").on(t.resourceType, t.resourceId),
    check("notification_subscriptions_resource_type_check", oneOf("resource_type", NOTIFICATION_RESOURCES)),
  ],
);
