import { z } from "zod";

/**
 * Every event and every job is declared once, with its name and its schema; types are derived. A producer imports the
 * contract, never the handler, and a map of handlers is typed over the catalogue, so a missing one does not compile.
 */
export interface EventDefinition<Subject extends string, Schema extends z.ZodObject> {
  /** `<domain>.<pastTense>`; published on NATS as `tollgate.events.<subject>.<partition>`. */
  readonly subject: Subject;
  readonly version: number;
  readonly schema: Schema;
}

export type AnyEventDefinition = EventDefinition<string, z.ZodObject>;
export type EventData<Definition extends AnyEventDefinition> = z.input<Definition["schema"]>;

export function defineEvent<const Subject extends string, Schema extends z.ZodObject>(
  subject: Subject,
  schema: Schema,
  version = 1,
): EventDefinition<Subject, Schema> {
  return { subject, version, schema };
}

/** What travels: the event's data in the envelope that every event has. */
export const eventEnvelope = z.object({
  id: z.string(),
  subject: z.string(),
  version: z.int(),
  time: z.iso.datetime(),
  actor: z.string(),
  requestId: z.string(),
  traceparent: z.string().optional(),
  data: z.record(z.string(), z.unknown()),
});
export type EventEnvelope = z.infer<typeof eventEnvelope>;

export const QUEUES = ["metering", "billing", "payments", "email", "webhooks", "maintenance"] as const;
export type QueueName = (typeof QUEUES)[number];

export interface JobDefinition<Name extends string, Schema extends z.ZodObject> {
  /** `<domain>.<imperative>`; sweeps end in `-sweep`. */
  readonly name: Name;
  readonly queue: QueueName;
  readonly schema: Schema;
  readonly attempts: number;
  readonly backoffMs: number;
  /** The job's id in its queue, so that ordering it twice queues it once. Without it every order is a job. */
  readonly id?: (data: z.output<Schema>) => string;
}

export type AnyJobDefinition = JobDefinition<string, z.ZodObject>;
export type JobData<Definition extends AnyJobDefinition> = z.input<Definition["schema"]>;

export function defineJob<const Name extends string, Schema extends z.ZodObject>(
  definition: JobDefinition<Name, Schema>,
): JobDefinition<Name, Schema> {
  return definition;
}
