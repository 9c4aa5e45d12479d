import { z } from "zod";
import { defineEvent } from "./definitions.ts";
import { idSchema } from "./primitives.ts";

/** How the deployment is, as everybody may know it. */

/** What is looked at, in the order in which people are shown it. */
export const STATUS_COMPONENTS = [
  "gateway",
  "api",
  "workers",
  "database",
  "redis",
  "nats",
  "etcd",
  /** The whole of it, as somebody meets it who has never been here. */
  "selfTest",
] as const;
export const statusComponent = z.enum(STATUS_COMPONENTS, { error: `Must be one of ${STATUS_COMPONENTS.join(", ")}` });
export type StatusComponent = z.infer<typeof statusComponent>;

/** `unknown`: nobody has looked lately. */
export const componentState = z.enum(["up", "degraded", "down", "unknown"]);
export type ComponentState = z.infer<typeof componentState>;

const incidentImpact = z.enum(["minor", "major", "critical"]);
const incidentStatus = z.enum(["investigating", "identified", "monitoring", "resolved"]);
const openIncidentStatus = incidentStatus.exclude(["resolved"]);

const messageInput = z.string().trim().min(1, { error: "Must say something" }).max(2_000);
const componentsInput = z
  .array(statusComponent)
  .max(STATUS_COMPONENTS.length)
  .transform((names) => [...new Set(names)]);

export const incidentDto = z.object({
  id: z.string(),
  title: z.string(),
  impact: incidentImpact,
  status: incidentStatus,
  components: z.array(statusComponent),
  createdAt: z.date(),
  resolvedAt: z.date().nullable(),
  /** What was said of it, the latest first. */
  updates: z.array(z.object({ status: incidentStatus, message: z.string(), createdAt: z.date() })),
});
export type Incident = z.infer<typeof incidentDto>;

export const openIncidentInput = z.object({
  title: z.string().trim().min(1, { error: "Must not be empty" }).max(200),
  impact: incidentImpact.default("minor"),
  /** What it touches. These are shown as degraded, or as down while a critical incident is open. */
  components: componentsInput.default([]),
  message: messageInput,
  /** The same key again opens nothing and answers with what was opened. */
  idempotencyKey: z.string().min(8).max(100).optional(),
});

export const updateIncidentInput = z.object({
  id: idSchema("incident"),
  status: openIncidentStatus.optional(),
  impact: incidentImpact.optional(),
  components: componentsInput.optional(),
  message: messageInput,
});

export const resolveIncidentInput = z.object({ id: idSchema("incident"), message: messageInput });

export const selfTestDto = z.object({
  hasPassed: z.boolean(),
  /** Where it ended, if it did not pass. */
  failedStep: z.string().nullable(),
  finishedAt: z.date(),
  durationMs: z.int(),
});
export type SelfTestResult = z.infer<typeof selfTestDto>;

export const currentStatusDto = z.object({
  /** The worst of the components and of the open incidents. */
  state: componentState,
  components: z.array(
    z.object({
      name: statusComponent,
      state: componentState,
      /** Since when it has been so; null while it is not known. */
      since: z.date().nullable(),
      checkedAt: z.date().nullable(),
      /** How long the component took to answer the last check. */
      latencyMs: z.int().nullable(),
    }),
  ),
  /** The last walk through the product as a stranger; null when there was none in the last 7 minutes. */
  selfTest: selfTestDto.nullable(),
  /** Those that are open, the latest first. */
  incidents: z.array(incidentDto),
  at: z.date(),
});
export type CurrentStatus = z.infer<typeof currentStatusDto>;

export const statusHistoryInput = z.object({
  /** How many days, today among them. */
  days: z.int().min(1).max(90).default(90),
});

export const statusHistoryDto = z.object({
  components: z.array(
    z.object({
      name: statusComponent,
      /** The part of the time looked at in which it answered, in hundredths of a percent, rounded down; null before the first look. */
      uptimeBasisPoints: z.int().nullable(),
      /** Days in UTC, the oldest first, each of them. Time in which nobody looked is in none of the three. */
      days: z.array(z.object({ day: z.iso.date(), upMs: z.int(), degradedMs: z.int(), downMs: z.int() })),
    }),
  ),
  /** Those that were open on one of these days, the latest first; up to 100. */
  incidents: z.array(incidentDto),
});
export type StatusHistory = z.infer<typeof statusHistoryDto>;

const incidentData = z.object({
  incidentId: z.string(),
  title: z.string(),
  impact: incidentImpact,
  status: incidentStatus,
});
export const statusIncidentOpened = defineEvent("status.incidentOpened", incidentData);
export const statusIncidentUpdated = defineEvent("status.incidentUpdated", incidentData);
export const statusIncidentResolved = defineEvent("status.incidentResolved", incidentData);
