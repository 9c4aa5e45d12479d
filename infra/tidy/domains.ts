/**
 * The nouns of the product. A domain has one name, spelled one way, in every layer: `keys` is `contracts/keys.ts`,
 * `db/schema/keys.ts`, `services/keys/`, `routers/keys.ts`, and its events are `keys.*`.
 */
export const DOMAINS = [
  "admin",
  "alerts",
  "analytics",
  "balance",
  "billing",
  "catalog",
  "customers",
  "emails",
  "gateway",
  "keys",
  "notifications",
  "oauth",
  "onboarding",
  "payments",
  "projects",
  "status",
  "usage",
  "webhooks",
];

/** Nouns of the machinery, which clients never call: how calls are counted and money is held. */
export const MECHANISMS = [
  /** Limits of money, quotas and caps, and the leases that gateways hold of them. */
  "budgets",
  /** What must be true of the books, asked again and again. */
  "checks",
  /** Streams that stay open, and what is watched over them. */
  "live",
  /** The outbox and the inbox. */
  "messages",
  /** Finished calls on their way from a spool into usage and money. */
  "metering",
  /** Requests to URLs that customers and publishers name. */
  "outbound",
  /** What a new deployment begins with. */
  "seed",
];

export const isKnownNoun = (name: string): boolean => DOMAINS.includes(name) || MECHANISMS.includes(name);
