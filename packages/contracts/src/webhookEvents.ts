import { z } from "zod";

/**
 * The public catalogue: the events that customers may subscribe to, each with the payload that it promises. A payload is
 * made of a domain event by taking what its schema names and nothing else, so what is internal (a key's hash, an address)
 * does not leave when a domain event gains a field. Fields may be added to a version; whatever takes one away or changes
 * its meaning is a new version.
 */
export interface WebhookEventDefinition {
  /** The subject of the domain event as well. */
  readonly type: string;
  /** Of the payload. */
  readonly version: number;
  readonly description: string;
  readonly data: z.ZodObject;
}

const event = <const Type extends string, Data extends z.ZodObject>(type: Type, description: string, data: Data) => ({
  type,
  version: 1,
  description,
  data,
});

const key = z.object({ keyId: z.string(), projectId: z.string() });
const project = z.object({ projectId: z.string() });
const member = project.extend({ customerId: z.string() });
const account = z.object({ billingAccountId: z.string(), transactionId: z.string(), micros: z.string() });

export const WEBHOOK_EVENTS = [
  event("keys.generated", "A key was made", key),
  event("keys.updated", "The settings of a key changed", key),
  event("keys.rotated", "A key was replaced; the old one ends after its grace", key.extend({ newKeyId: z.string() })),
  event("keys.revoked", "A key was ended for good", key),
  event("keys.blocked", "An operator blocked a key", key.extend({ message: z.string() })),
  event("keys.unblocked", "A blocked key works again", key),
  event("keys.expired", "A key reached its end", key),
  event("projects.created", "A project was made", project),
  event("projects.renamed", "A project has another name", project.extend({ name: z.string() })),
  event("projects.deleted", "A project was deleted", project),
  event("projects.memberJoined", "Somebody joined a project", member.extend({ role: z.string() })),
  event("projects.memberLeft", "Somebody is no longer in a project", member),
  event("projects.roleChanged", "A member has another role", member.extend({ from: z.string(), to: z.string() })),
  event("projects.spendCapChanged", "The monthly cap of a project changed", project),
  event("balance.credited", "Credit was added to the wallet", account.extend({ source: z.string() })),
  event("balance.debited", "Credit was taken from the wallet", account.extend({ kind: z.string() })),
] as const satisfies readonly WebhookEventDefinition[];

export type WebhookSubject = (typeof WEBHOOK_EVENTS)[number]["type"];

/** The types of the catalogue, which are subjects of domain events. */
export const WEBHOOK_SUBJECTS: readonly WebhookSubject[] = WEBHOOK_EVENTS.map(({ type }) => type);
