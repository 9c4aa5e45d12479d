import type { z } from "zod";
import {
  adminImpersonated,
  adminSecretDeleted,
  adminSecretSet,
  adminSecretsRewrapped,
  adminSettingChanged,
  adminTenantDataDeleted,
  adminTenantDataDeletionFailed,
  adminTenantDataDeletionRequested,
} from "./admin.ts";
import {
  alertsAcknowledged,
  alertsFired,
  alertsReported,
  alertsResolved,
  alertsRuleCreated,
  alertsRuleDeleted,
  alertsRuleUpdated,
} from "./alerts.ts";
import { balanceCredited, balanceDebited, balanceExhausted, balanceLow, balanceLowAlertSet } from "./balance.ts";
import { billingSubscriptionChanged, billingSubscriptionLapsed } from "./billing/subscriptions.ts";
import {
  billingAccountUpdated,
  billingAdminsChanged,
  billingInvoiceFinalized,
  billingInvoicePaid,
  billingInvoicePaymentFailed,
  billingInvoiceVoided,
} from "./billing.ts";
import { catalogDeprecated, catalogPublished, catalogRemoved, catalogUpdated } from "./catalog.ts";
import {
  customersBanned,
  customersCreated,
  customersDataExported,
  customersDeleted,
  customersErased,
  customersLoggedIn,
  customersLoggedOut,
  customersPasswordReset,
  customersSignedUp,
  customersTokenRefreshed,
  customersUnbanned,
  customersUpdated,
  customersVerified,
} from "./customers.ts";
import type { AnyEventDefinition } from "./definitions.ts";
import { emailsQueued, emailsSuppressed, emailsUnsuppressed, MAILED_SUBJECTS } from "./emails.ts";
import {
  keysBlocked,
  keysExpired,
  keysGenerated,
  keysRevoked,
  keysRotated,
  keysUnblocked,
  keysUpdated,
} from "./keys.ts";
import { adminDeadLetterDiscarded, adminDeadLetterReplayed } from "./messages.ts";
import { adminRunDismissed } from "./metering.ts";
import { NOTIFIED_SUBJECTS } from "./notifications.ts";
import { oauthLinked, oauthUnlinked } from "./oauth.ts";
import {
  balanceTopUpFailed,
  paymentsAutoTopUpChanged,
  paymentsDefaultCardChanged,
  paymentsDisputed,
  paymentsFailed,
  paymentsMethodAdded,
  paymentsMethodRemoved,
  paymentsRefunded,
  paymentsSucceeded,
} from "./payments.ts";
import {
  projectsCreated,
  projectsDeleted,
  projectsInviteDeclined,
  projectsInviteRevoked,
  projectsMemberInvited,
  projectsMemberJoined,
  projectsMemberLeft,
  projectsRenamed,
  projectsRoleChanged,
  projectsSpendCapChanged,
} from "./projects.ts";
import { statusIncidentOpened, statusIncidentResolved, statusIncidentUpdated } from "./status.ts";
import { usagePipelineRecovered, usagePipelineStalled, usageRankingNameChanged } from "./usage.ts";
import { WEBHOOK_SUBJECTS } from "./webhookEvents.ts";
import {
  webhooksDeliveryRequested,
  webhooksEndpointCreated,
  webhooksEndpointDeleted,
  webhooksEndpointDisabled,
  webhooksEndpointUpdated,
  webhooksSecretRotated,
} from "./webhooks.ts";

/** Every event there is. Consumers handle a choice of them by a map over these subjects, so a missing handler does not compile. */
export const EVENTS = [
  adminSecretSet,
  adminSecretDeleted,
  adminSecretsRewrapped,
  adminSettingChanged,
  adminImpersonated,
  adminTenantDataDeletionRequested,
  adminTenantDataDeleted,
  adminTenantDataDeletionFailed,
  adminDeadLetterReplayed,
  adminDeadLetterDiscarded,
  adminRunDismissed,
  balanceCredited,
  balanceDebited,
  balanceLow,
  balanceLowAlertSet,
  balanceExhausted,
  billingAccountUpdated,
  billingAdminsChanged,
  billingInvoiceFinalized,
  billingInvoicePaid,
  billingInvoicePaymentFailed,
  billingInvoiceVoided,
  billingSubscriptionChanged,
  billingSubscriptionLapsed,
  catalogPublished,
  catalogUpdated,
  catalogDeprecated,
  catalogRemoved,
  customersCreated,
  customersVerified,
  customersSignedUp,
  customersLoggedIn,
  customersTokenRefreshed,
  customersLoggedOut,
  customersUpdated,
  customersBanned,
  customersUnbanned,
  customersDeleted,
  customersErased,
  customersPasswordReset,
  customersDataExported,
  emailsQueued,
  emailsSuppressed,
  emailsUnsuppressed,
  keysGenerated,
  keysUpdated,
  keysRotated,
  keysRevoked,
  keysBlocked,
  keysUnblocked,
  keysExpired,
  oauthLinked,
  oauthUnlinked,
  balanceTopUpFailed,
  paymentsAutoTopUpChanged,
  paymentsDefaultCardChanged,
  paymentsDisputed,
  paymentsFailed,
  paymentsMethodAdded,
  paymentsMethodRemoved,
  paymentsRefunded,
  paymentsSucceeded,
  projectsCreated,
  projectsRenamed,
  projectsDeleted,
  projectsMemberInvited,
  projectsInviteDeclined,
  projectsInviteRevoked,
  projectsMemberJoined,
  projectsMemberLeft,
  projectsRoleChanged,
  projectsSpendCapChanged,
  usagePipelineStalled,
  usagePipelineRecovered,
  usageRankingNameChanged,
  webhooksEndpointCreated,
  webhooksEndpointUpdated,
  webhooksEndpointDeleted,
  webhooksEndpointDisabled,
  webhooksSecretRotated,
  webhooksDeliveryRequested,
  alertsAcknowledged,
  alertsFired,
  alertsReported,
  alertsResolved,
  alertsRuleCreated,
  alertsRuleDeleted,
  alertsRuleUpdated,
  statusIncidentOpened,
  statusIncidentUpdated,
  statusIncidentResolved,
] as const;

export type EventSubject = (typeof EVENTS)[number]["subject"];
export type EventNamed<Subject extends EventSubject> = Extract<(typeof EVENTS)[number], { readonly subject: Subject }>;

/** Every subject, for a consumer that handles them all. */
export const EVENT_SUBJECTS: readonly EventSubject[] = EVENTS.map(({ subject }) => subject);

const BY_SUBJECT: ReadonlyMap<string, AnyEventDefinition> = new Map(
  EVENTS.map((definition) => [definition.subject, definition as unknown as AnyEventDefinition]),
);

/** The definition of an event, by the subject that a row or a message carries. */
export const eventNamed = (subject: string): AnyEventDefinition | undefined => BY_SUBJECT.get(subject);

/** An event as a handler gets it: its envelope, with the data that its contract says. */
export interface DomainEvent<Subject extends EventSubject = EventSubject> {
  readonly id: string;
  readonly subject: Subject;
  readonly version: number;
  /** When it was announced. */
  readonly time: Date;
  /** Who caused it: `customer:cus_…`, `service:…`, `system:…`. */
  readonly actor: string;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
  readonly data: z.output<EventNamed<Subject>["schema"]>;
}

/**
 * Who consumes what: a consumer is a domain, and gets each event of its subjects once, in order per lane ({@link laneOf}).
 * A new consumer begins with what the stream still holds; a subject that is added begins with the next event.
 */
export const CONSUMERS = {
  analytics: EVENT_SUBJECTS,
  emails: MAILED_SUBJECTS,
  notifications: NOTIFIED_SUBJECTS,
  webhooks: WEBHOOK_SUBJECTS,
} as const satisfies Readonly<Record<string, readonly EventSubject[]>>;

export type ConsumerName = keyof typeof CONSUMERS;
export type ConsumedSubject<Name extends ConsumerName> = (typeof CONSUMERS)[Name][number];

/** The owners that events name, the one that keeps their order first. */
const LANE_FIELDS = ["projectId", "billingAccountId", "customerId", "apiId"] as const;

/**
 * Events of one lane are handled one after the other, in the order in which they were announced: a lane is a project, a
 * billing account, a customer or an API, or the subject itself where an event names none of these.
 */
export function laneOf(subject: string, data: Readonly<Record<string, unknown>>): string {
  for (const field of LANE_FIELDS) {
    const owner = data[field];
    if (typeof owner === "string") return owner;
  }
  return subject;
}

/** Lanes share so many partitions. Each is consumed by one process at a time, so this is how many events a consumer handles side by side. */
export const EVENT_PARTITIONS = 4;

/** The partition of a lane: FNV-1a, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/). It must never change for a lane. */
export function partitionOf(lane: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < lane.length; index += 1) {
    hash = Math.imul(hash ^ lane.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % EVENT_PARTITIONS;
}
