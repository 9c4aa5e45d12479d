import { z } from "zod";
import { defineJob } from "./definitions.ts";
import { instantInput, microsOutput, pageInput, pageOf } from "./primitives.ts";

/** Where events go beyond the product. A deployment has none, some or all of them. */
export const ANALYTICS_SINKS = ["mixpanel", "mailchimp"] as const;
export const analyticsSink = z.enum(ANALYTICS_SINKS);
export type AnalyticsSinkName = z.infer<typeof analyticsSink>;

/** `pending` until the sink has it; `refused` if the sink will never take it. */
export const analyticsStatus = z.enum(["pending", "sent", "refused"]);

const SPAN_MS_MAX = 400 * 86_400_000;

export const analyticsSummaryInput = z
  .object({
    from: instantInput,
    /** Up to but without this instant. */
    to: instantInput,
  })
  .superRefine(({ from, to }, context) => {
    const spanMs = to.getTime() - from.getTime();
    if (spanMs <= 0) context.addIssue({ code: "custom", path: ["to"], message: "Must be after from" });
    if (spanMs > SPAN_MS_MAX) context.addIssue({ code: "custom", path: ["from"], message: "At most 400 days" });
  });

/** How the business goes. The product's own self-test is in none of it. */
export const analyticsSummaryDto = z.object({
  from: z.date(),
  to: z.date(),
  /** People who came in this time and have proven their address. */
  signUps: z.int(),
  /** Projects with a live call. */
  activeProjects: z.int(),
  /** Live calls that were answered by their upstream. */
  calls: z.int(),
  /** What the ledger booked in this time as revenue from usage, less what was given back. */
  revenueMicros: microsOutput,
  /** What the subscriptions that are active cost a month, each at its own price, now. */
  mrrMicros: microsOutput,
  /** Credit that customers have and have not spent, now. */
  creditOutstandingMicros: microsOutput,
});
export type AnalyticsSummary = z.infer<typeof analyticsSummaryDto>;

export const listAnalyticsEventsInput = pageInput.extend({
  sink: analyticsSink.optional(),
  status: analyticsStatus.optional(),
});

/** One event on its way to one sink. */
export const analyticsEventDto = z.object({
  id: z.string(),
  sink: analyticsSink,
  eventId: z.string(),
  subject: z.string(),
  status: analyticsStatus,
  attempts: z.int(),
  lastError: z.string().nullable(),
  createdAt: z.date(),
  sentAt: z.date().nullable(),
});
export type AnalyticsEvent = z.infer<typeof analyticsEventDto>;
export const analyticsEventPage = pageOf(analyticsEventDto);

/** Sends what waits, in batches, and forgets what was sent a while ago. */
export const analyticsSendSweep = defineJob({
  name: "analytics.send-sweep",
  queue: "webhooks",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
