import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { emailInput, idSchema, microsOutput, nameInput, pageInput, pageOf, positiveMicrosInput } from "./primitives.ts";

export const alertRuleKind = z.enum(["balanceBelow", "spendAbove", "errorRateAbove", "noUsage"]);
export const alertRuleState = z.enum(["unknown", "ok", "firing"]);
const channelUrl = z.string().trim().max(2_000);
export const alertChannel = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("email"), to: emailInput }),
  z.object({ kind: z.literal("slack"), url: channelUrl }),
  z.object({ kind: z.literal("discord"), url: channelUrl }),
  z.object({ kind: z.literal("webhook"), url: channelUrl }),
]);
export type AlertChannel = z.infer<typeof alertChannel>;
const channelsInput = z.array(alertChannel).min(1).max(5);

/** A channel as it is shown: an address is, the path of a URL is a secret. */
export const alertChannelDto = z.object({
  kind: z.enum(["email", "slack", "discord", "webhook"]),
  address: z.string(),
});

export const alertRuleDto = z.object({
  id: z.string(),
  projectId: z.string().nullable(),
  billingAccountId: z.string().nullable(),
  name: z.string(),
  kind: alertRuleKind,
  thresholdMicros: microsOutput.nullable(),
  thresholdPercent: z.number().nullable(),
  windowHours: z.int(),
  channels: z.array(alertChannelDto),
  isEnabled: z.boolean(),
  state: alertRuleState,
  createdAt: z.date(),
  updatedAt: z.date(),
});
export type AlertRule = z.infer<typeof alertRuleDto>;

const ownerFields = {
  projectId: idSchema("project").optional(),
  billingAccountId: idSchema("billingAccount").optional(),
};
const hasOneOwner = (input: { projectId?: unknown; billingAccountId?: unknown }): boolean =>
  (input.projectId === undefined) !== (input.billingAccountId === undefined);
const oneOwner = { error: "Give exactly one of projectId and billingAccountId", path: ["projectId"] };
const settings = {
  name: nameInput,
  /** For `balanceBelow` and `spendAbove`. */
  thresholdMicros: positiveMicrosInput,
  /** For `errorRateAbove`: errors among a hundred calls. */
  thresholdPercent: z.number().gt(0).lte(100),
  /** The hours that are looked at; a balance is of the moment. */
  windowHours: z.int().min(1).max(720),
  channels: channelsInput,
};

export const createAlertRuleInput = z
  .object({
    ...ownerFields,
    kind: alertRuleKind,
    name: settings.name,
    thresholdMicros: settings.thresholdMicros.optional(),
    thresholdPercent: settings.thresholdPercent.optional(),
    windowHours: settings.windowHours.default(1),
    channels: settings.channels,
  })
  .refine(hasOneOwner, oneOwner)
  .refine((rule) => rule.kind !== "balanceBelow" || rule.billingAccountId !== undefined, {
    error: "A balance is a billing account's",
    path: ["billingAccountId"],
  })
  .refine((rule) => !["balanceBelow", "spendAbove"].includes(rule.kind) || rule.thresholdMicros !== undefined, {
    error: "This kind needs an amount",
    path: ["thresholdMicros"],
  })
  .refine((rule) => rule.kind !== "errorRateAbove" || rule.thresholdPercent !== undefined, {
    error: "This kind needs a share",
    path: ["thresholdPercent"],
  });
export const listAlertRulesInput = pageInput.extend(ownerFields).refine(hasOneOwner, oneOwner);
export const alertRulePage = pageOf(alertRuleDto);
export const alertRuleIdInput = z.object({ id: idSchema("alertRule") });
/** What is left out stays. */
export const updateAlertRuleInput = alertRuleIdInput.extend({
  name: settings.name.optional(),
  thresholdMicros: settings.thresholdMicros.optional(),
  thresholdPercent: settings.thresholdPercent.optional(),
  windowHours: settings.windowHours.optional(),
  channels: settings.channels.optional(),
  isEnabled: z.boolean().optional(),
});

export const alertDto = z.object({
  id: z.string(),
  ruleId: z.string().nullable(),
  projectId: z.string().nullable(),
  billingAccountId: z.string().nullable(),
  title: z.string(),
  text: z.string(),
  /** What a service reported with it. */
  details: z.record(z.string(), z.unknown()),
  createdAt: z.date(),
  /** When it was over; null while it lasts. */
  resolvedAt: z.date().nullable(),
  acknowledgedAt: z.date().nullable(),
});
export type Alert = z.infer<typeof alertDto>;
/** Without an owner, what services have reported: for operators. */
export const listAlertsInput = pageInput
  .extend(ownerFields)
  .refine((input) => input.projectId === undefined || input.billingAccountId === undefined, {
    error: "Give at most one of projectId and billingAccountId",
    path: ["projectId"],
  });
export const alertPage = pageOf(alertDto);
export const alertIdInput = z.object({ id: idSchema("alert") });

/** Something that operators should know of. */
export const reportAlertInput = z.object({
  category: z.string().trim().min(1).max(64),
  action: z.string().trim().min(1).max(64),
  label: z.string().trim().max(200).default(""),
  value: z.number().optional(),
  metadata: z.record(z.string(), z.json()).default({}),
  customerId: idSchema("customer").optional(),
});

/** Every ten minutes: looks at every rule. */
export const alertsEvaluateSweep = defineJob({
  name: "alerts.evaluate-sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
/** Sends what alerts have to say, and orders what has lost its job. */
export const alertsSendSweep = defineJob({
  name: "alerts.send-sweep",
  queue: "webhooks",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

const alertEventData = z.object({
  alertId: z.string(),
  ruleId: z.string().optional(),
  projectId: z.string().optional(),
  billingAccountId: z.string().optional(),
});
const ruleEventData = z.object({
  ruleId: z.string(),
  projectId: z.string().optional(),
  billingAccountId: z.string().optional(),
});
export const alertsFired = defineEvent("alerts.fired", alertEventData);
export const alertsResolved = defineEvent("alerts.resolved", alertEventData);
export const alertsAcknowledged = defineEvent("alerts.acknowledged", alertEventData);
export const alertsReported = defineEvent("alerts.reported", alertEventData);
export const alertsRuleCreated = defineEvent("alerts.ruleCreated", ruleEventData);
export const alertsRuleUpdated = defineEvent("alerts.ruleUpdated", ruleEventData);
export const alertsRuleDeleted = defineEvent("alerts.ruleDeleted", ruleEventData);
