import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { idSchema, pageInput, pageOf } from "./primitives.ts";
import { WEBHOOK_EVENTS } from "./webhookEvents.ts";

export const webhookEndpointStatus = z.enum(["enabled", "disabled"]);
export const webhookDisabledReason = z.enum(["owner", "gone", "failing"]);

/** An endpoint as its owners see it; never the secret. */
export const webhookEndpointDto = z.object({
  id: z.string(),
  projectId: z.string().nullable(),
  billingAccountId: z.string().nullable(),
  url: z.string(),
  description: z.string(),
  events: z.array(z.string()),
  status: webhookEndpointStatus,
  disabledReason: webhookDisabledReason.nullable(),
  /** Since when nothing has got through; null while it works. */
  failingSince: z.date().nullable(),
  /** Until when the secret of before the last rotation signs as well. */
  previousSecretExpiresAt: z.date().nullable(),
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type WebhookEndpoint = z.infer<typeof webhookEndpointDto>;
/** The secret is in this answer and nowhere else. */
export const webhookSecretDto = z.object({ endpoint: webhookEndpointDto, secret: z.string() });
export type WebhookSecret = z.infer<typeof webhookSecretDto>;

const TYPES: ReadonlySet<string> = new Set(WEBHOOK_EVENTS.map(({ type }) => type));
const DOMAINS: ReadonlySet<string> = new Set(WEBHOOK_EVENTS.map(({ type }) => type.split(".")[0] ?? ""));

const isEventFilter = (text: string): boolean =>
  text === "*" || TYPES.has(text) || (text.endsWith(".*") && DOMAINS.has(text.slice(0, -2)));

/** Types of the catalogue, `keys.*` for all of a domain, or `*` for all. */
const eventsInput = z
  .array(z.string().max(64).refine(isEventFilter, { error: "Is no event: see webhooks.listEventTypes" }))
  .min(1)
  .max(100)
  .transform((events) => (events.includes("*") ? ["*"] : [...new Set(events)]));
const urlInput = z.string().trim().max(2_000);
const descriptionInput = z.string().trim().max(200);

/** What is a project's or a billing account's. */
const ownerFields = {
  projectId: idSchema("project").optional(),
  billingAccountId: idSchema("billingAccount").optional(),
};
const hasOneOwner = (input: { projectId?: unknown; billingAccountId?: unknown }): boolean =>
  (input.projectId === undefined) !== (input.billingAccountId === undefined);
const oneOwner = { error: "Give exactly one of projectId and billingAccountId", path: ["projectId"] };

export const createWebhookEndpointInput = z
  .object({ ...ownerFields, url: urlInput, events: eventsInput, description: descriptionInput.default("") })
  .refine(hasOneOwner, oneOwner);
export const listWebhookEndpointsInput = pageInput.extend(ownerFields).refine(hasOneOwner, oneOwner);
export const webhookEndpointPage = pageOf(webhookEndpointDto);
export const webhookEndpointIdInput = z.object({ id: idSchema("webhookEndpoint") });
/** What is left out stays. */
export const updateWebhookEndpointInput = webhookEndpointIdInput.extend({
  url: urlInput.optional(),
  events: eventsInput.optional(),
  description: descriptionInput.optional(),
  /** Switching on what was switched off, by whomever, sends what has been waiting. */
  isEnabled: z.boolean().optional(),
});
export const rotateWebhookSecretInput = webhookEndpointIdInput.extend({
  /** How long the old secret signs beside the new one; at most a week. */
  overlapSeconds: z.int().min(0).max(604_800).default(86_400),
});

export const webhookDeliveryStatus = z.enum(["pending", "succeeded", "failed"]);
export const webhookAttemptDto = z.object({
  at: z.string(),
  durationMs: z.int(),
  /** The status of the answer; null when there was none. */
  status: z.int().nullable(),
  error: z.string().nullable(),
  /** The beginning of the answer's body. */
  body: z.string(),
});
export const webhookDeliveryDto = z.object({
  id: z.string(),
  endpointId: z.string(),
  /** The `webhook-id` of every attempt. */
  messageId: z.string(),
  eventType: z.string(),
  status: webhookDeliveryStatus,
  /** Since it was made or asked for again. */
  attempts: z.int(),
  /** When it will be tried again; null when it will not. */
  nextAttemptAt: z.date().nullable(),
  /** The body that is sent. */
  payload: z.string(),
  /** The last attempts, the oldest first. */
  attemptLog: z.array(webhookAttemptDto),
  createdAt: z.date(),
  completedAt: z.date().nullable(),
});
export type WebhookDelivery = z.infer<typeof webhookDeliveryDto>;
export const listWebhookDeliveriesInput = pageInput.extend({
  endpointId: idSchema("webhookEndpoint"),
  status: webhookDeliveryStatus.optional(),
  eventType: z.string().max(64).optional(),
});
export const webhookDeliveryPage = pageOf(webhookDeliveryDto);
export const webhookDeliveryIdInput = z.object({ id: idSchema("webhookDelivery") });

export const webhookEventTypeDto = z.object({
  type: z.string(),
  version: z.int(),
  description: z.string(),
  /** The JSON Schema of `data`. */
  dataSchema: z.record(z.string(), z.unknown()),
});
export type WebhookEventType = z.infer<typeof webhookEventTypeDto>;
export const webhookEventTypeList = z.object({ items: z.array(webhookEventTypeDto) });

/** Wakes an endpoint: what is due for it is delivered. */
export const webhooksDeliver = defineJob({
  name: "webhooks.deliver",
  queue: "webhooks",
  schema: z.object({
    endpointId: z.string(),
    /** The delivery that it is for; without one, whatever has been waiting. */
    deliveryId: z.string().optional(),
  }),
  attempts: 3,
  backoffMs: 1_000,
  id: ({ endpointId, deliveryId }) => deliveryId ?? endpointId,
});

/** Every few seconds: wakes the endpoints that have something due. */
export const webhooksSweep = defineJob({
  name: "webhooks.sweep",
  queue: "webhooks",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

/** Hourly: forgets deliveries of long ago, and gives up those that wait at an endpoint that is switched off. */
export const webhooksForgetSweep = defineJob({
  name: "webhooks.forget-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

const endpointEventData = z.object({
  endpointId: z.string(),
  projectId: z.string().optional(),
  billingAccountId: z.string().optional(),
});
export const webhooksEndpointCreated = defineEvent("webhooks.endpointCreated", endpointEventData);
export const webhooksEndpointUpdated = defineEvent("webhooks.endpointUpdated", endpointEventData);
export const webhooksEndpointDeleted = defineEvent("webhooks.endpointDeleted", endpointEventData);
export const webhooksSecretRotated = defineEvent("webhooks.secretRotated", endpointEventData);
export const webhooksDeliveryRequested = defineEvent(
  "webhooks.deliveryRequested",
  endpointEventData.extend({ deliveryId: z.string() }),
);
/** Not by its owner: it answered 410, or nothing got through for days. */
export const webhooksEndpointDisabled = defineEvent(
  "webhooks.endpointDisabled",
  endpointEventData.extend({ reason: z.enum(["gone", "failing"]), host: z.string() }),
);
