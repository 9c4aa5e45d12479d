import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { emailInput, instantInput, pageInput, pageOf } from "./primitives.ts";

export const emailStatus = z.enum(["queued", "sent", "failed", "cancelled", "suppressed"]);

/** A mail as operators and services see it. What it says is not kept. */
export const emailDto = z.object({
  id: z.string(),
  template: z.string(),
  to: z.string(),
  status: emailStatus,
  attempts: z.int(),
  lastError: z.string().nullable(),
  createdAt: z.date(),
  sendAt: z.date(),
  sentAt: z.date().nullable(),
});
export type Email = z.infer<typeof emailDto>;

export const sendEmailInput = z.object({
  template: z.string().max(64),
  to: emailInput,
  /** What the template must be told. */
  data: z.record(z.string(), z.json()).default({}),
  /** Not before this instant. Without it, now. */
  sendAt: instantInput.optional(),
  /** The same key again sends nothing and answers as the first time. */
  idempotencyKey: z.string().min(1).max(200),
});
export const listSentInput = pageInput.extend({
  to: emailInput.optional(),
  template: z.string().max(64).optional(),
  status: emailStatus.optional(),
});
export const emailPage = pageOf(emailDto);

export const suppressionReason = z.enum(["bounce", "complaint", "unsubscribe", "manual"]);
/** `unsubscribe` stops the mails that people may unsubscribe from; every other reason stops all. */
export const suppressEmailInput = z.object({ email: emailInput, reason: suppressionReason.default("manual") });
export const reportBounceInput = z.object({ email: emailInput, reason: z.enum(["bounce", "complaint"]) });
export const unsuppressEmailInput = z.object({ email: emailInput });
export const suppressionDto = z.object({ email: z.string(), reason: suppressionReason, createdAt: z.date() });
export type Suppression = z.infer<typeof suppressionDto>;

// Without the address: events go to many places.
const suppressionEventData = z.object({ reason: suppressionReason });
export const emailsSuppressed = defineEvent("emails.suppressed", suppressionEventData);
export const emailsUnsuppressed = defineEvent("emails.unsuppressed", suppressionEventData);
export const emailsQueued = defineEvent("emails.queued", z.object({ emailId: z.string(), template: z.string() }));

/** Sends one mail whose row is due. The row says when to try again, so the job itself is only repeated after a crash. */
export const emailsSend = defineJob({
  name: "emails.send",
  queue: "email",
  schema: z.object({ emailId: z.string() }),
  attempts: 3,
  backoffMs: 1_000,
  id: ({ emailId }) => emailId,
});

/** Orders the mails that are due and whose job has gone. */
export const emailsSweep = defineJob({
  name: "emails.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});

/** What is mailed to those who pay, as it happens. */
export const MAILED_SUBJECTS = [
  "balance.low",
  "balance.exhausted",
  "balance.topUpFailed",
  "billing.invoiceFinalized",
] as const;
