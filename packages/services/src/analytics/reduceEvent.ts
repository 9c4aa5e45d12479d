import type { DomainEvent } from "@tollgate/contracts";

/** An event reduced to what may leave the product: ids, numbers and words of the product's own; nothing that people wrote. */
export interface AnalyticsFact {
  readonly eventId: string;
  readonly subject: string;
  readonly time: Date;
  readonly customerId: string | undefined;
  readonly projectId: string | undefined;
  readonly billingAccountId: string | undefined;
  /** `customer`, `service`, `system` or `anonymous`. */
  readonly actorKind: string;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

/** Ids of the product are random and stand for nobody outside of it. */
const OWN_ID = /^[a-z]{2,4}_[0-9A-Za-z]{8,40}$/;
/** Fields whose text is one of a few words of the contract, or an amount. */
const WORDS = new Set([
  "code",
  "from",
  "impact",
  "kind",
  "method",
  "micros",
  "mode",
  "placement",
  "reason",
  "role",
  "source",
  "stage",
  "status",
  "template",
  "to",
]);
const WORD = /^(?:[A-Za-z][A-Za-z_]{0,39}|-?\d{1,19})$/;

/** What a sink may hear of an event. A field that is not known to be harmless is left out. */
export function reduceEvent(event: DomainEvent): AnalyticsFact {
  const properties: Record<string, string | number | boolean> = {};
  for (const [field, value] of Object.entries(event.data as Readonly<Record<string, unknown>>)) {
    if (typeof value === "number" || typeof value === "boolean") properties[field] = value;
    if (typeof value !== "string") continue;
    if (OWN_ID.test(value) || (WORDS.has(field) && WORD.test(value))) properties[field] = value;
  }
  const [actorKind = "anonymous", actorId] = event.actor.split(":");
  const idIn = (field: string): string | undefined => {
    const value = properties[field];
    return typeof value === "string" ? value : undefined;
  };
  return {
    eventId: event.id,
    subject: event.subject,
    time: event.time,
    customerId: idIn("customerId") ?? (actorKind === "customer" ? actorId : undefined),
    projectId: idIn("projectId"),
    billingAccountId: idIn("billingAccountId"),
    actorKind,
    properties,
  };
}
