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
const wallet = z.object({ billingAccountId: z.string(), available: z.string() });
const invoice = z.object({
  billingAccountId: z.string(),
  invoiceId: z.string(),
  kind: z.string(),
  number: z.string().nullable(),
  total: z.string(),
  due: z.string(),
});
const payment = z.object({
  billingAccountId: z.string(),
  paymentId: z.string(),
  kind: z.string(),
  amountCents: z.int(),
  currency: z.string(),
});
const card = z.object({ billingAccountId: z.string(), cardId: z.string(), brand: z.string(), last4: z.string() });

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
  event("balance.low", "The wallet fell below its threshold", wallet.extend({ threshold: z.string() })),
  event("balance.exhausted", "The wallet is empty: calls that cost are refused", wallet),
  event(
    "balance.topUpFailed",
    "An automatic top-up was declined",
    z.object({ billingAccountId: z.string(), paymentId: z.string(), failureCode: z.string(), isOff: z.boolean() }),
  ),
  event("billing.invoiceFinalized", "An invoice or a credit note was made", invoice),
  event("billing.invoicePaid", "An invoice is paid", invoice),
  event("payments.succeeded", "A payment came in and is credit now", payment),
  event("payments.failed", "A payment did not come in", payment.extend({ failureCode: z.string() })),
  event(
    "payments.refunded",
    "A payment was given back",
    payment.extend({ refundId: z.string(), refundedCents: z.int() }),
  ),
  event(
    "payments.disputed",
    "A cardholder disputes a payment, or the dispute is decided",
    payment.extend({ disputeId: z.string(), disputedCents: z.int(), status: z.string(), reason: z.string() }),
  ),
  event("payments.methodAdded", "A card was added", card),
  event("payments.methodRemoved", "A card was removed", card),
] as const satisfies readonly WebhookEventDefinition[];

export type WebhookSubject = (typeof WEBHOOK_EVENTS)[number]["type"];

/** The types of the catalogue, which are subjects of domain events. */
export const WEBHOOK_SUBJECTS: readonly WebhookSubject[] = WEBHOOK_EVENTS.map(({ type }) => type);
