import { z } from "zod";
import { idSchema, pageInput, pageOf } from "./primitives.ts";

export const notificationDto = z.object({
  id: z.string(),
  /** The event that it tells of: `keys.revoked`. */
  type: z.string(),
  text: z.string(),
  projectId: z.string().nullable(),
  billingAccountId: z.string().nullable(),
  apiId: z.string().nullable(),
  createdAt: z.date(),
  readAt: z.date().nullable(),
});
export type Notification = z.infer<typeof notificationDto>;

export const listNotificationsInput = pageInput.extend({ isUnreadOnly: z.boolean().default(false) });
export const notificationPage = pageOf(notificationDto).extend({ unread: z.int() });
export type NotificationPage = z.infer<typeof notificationPage>;

/** Without ids, all of them. */
export const markNotificationsInput = z.object({ ids: z.array(idSchema("notification")).max(200).optional() });
export const unreadDto = z.object({ unread: z.int() });
export type Unread = z.infer<typeof unreadDto>;

export const notificationResource = z.enum(["project", "billingAccount", "api"]);
export const subscriptionInput = z.object({
  resourceType: notificationResource,
  resourceId: z.string().min(1).max(64),
});
export const subscriptionDto = z.object({
  resourceType: notificationResource,
  resourceId: z.string(),
  createdAt: z.date(),
});
export type NotificationSubscription = z.infer<typeof subscriptionDto>;
export const subscriptionList = z.object({ items: z.array(subscriptionDto) });

export const liveNotificationsInput = z.object({ lastEventId: z.string().max(100).optional() });
/** Sent again when something changes. */
export const liveNotificationsDto = z.object({ unread: z.int(), latest: z.array(notificationDto) });
export type LiveNotifications = z.infer<typeof liveNotificationsDto>;

/** What people are told of inside the product. */
export const NOTIFIED_SUBJECTS = [
  "keys.revoked",
  "keys.blocked",
  "keys.unblocked",
  "keys.expired",
  "projects.memberJoined",
  "projects.memberLeft",
  "projects.roleChanged",
  "projects.spendCapChanged",
  "balance.credited",
  "balance.debited",
  "balance.low",
  "balance.exhausted",
  "balance.topUpFailed",
  "billing.invoiceFinalized",
  "catalog.deprecated",
  "catalog.removed",
  "webhooks.endpointDisabled",
  "alerts.fired",
  "alerts.resolved",
] as const;
