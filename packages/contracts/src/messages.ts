import { z } from "zod";
import { defineEvent, defineJob } from "./definitions.ts";
import { idSchema, pageInput, pageOf } from "./primitives.ts";

const consumerInput = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, { error: "Must be the name of a consumer" });
const subjectInput = z.string().regex(/^[A-Za-z]+\.[A-Za-z]+$/, { error: "Must be the subject of an event" });

/** An event that a consumer gave up. */
export const deadLetterDto = z.object({
  id: z.string(),
  consumer: z.string(),
  eventId: z.string(),
  subject: z.string(),
  reason: z.enum(["failed", "blocked", "malformed", "unknown_version"]),
  attempts: z.int(),
  lastError: z.string().nullable(),
  /** The event as it came. */
  envelope: z.record(z.string(), z.unknown()),
  firstFailedAt: z.date(),
  createdAt: z.date(),
});
export type DeadLetter = z.infer<typeof deadLetterDto>;

export const listDeadLettersInput = pageInput.extend({
  consumer: consumerInput.optional(),
  subject: subjectInput.optional(),
});
export const deadLetterPage = pageOf(deadLetterDto);

/** One by its id, or those of a consumer (up to 1,000 a call). */
export const pickDeadLettersInput = z.union([
  z.strictObject({ id: idSchema("parkedEvent") }),
  z.strictObject({ consumer: consumerInput, subject: subjectInput.optional() }),
]);
export const pickedDeadLettersDto = z.object({ count: z.int() });
export type PickedDeadLetters = z.infer<typeof pickedDeadLettersDto>;

const pickedEventData = z.object({ consumer: z.string(), eventId: z.string(), of: z.string() });
export const adminDeadLetterReplayed = defineEvent("admin.deadLetterReplayed", pickedEventData);
export const adminDeadLetterDiscarded = defineEvent("admin.deadLetterDiscarded", pickedEventData);

/** Hourly: clears away what was sent and handled long ago. */
export const messagesSweep = defineJob({
  name: "messages.sweep",
  queue: "maintenance",
  schema: z.object({}),
  attempts: 1,
  backoffMs: 1_000,
});
