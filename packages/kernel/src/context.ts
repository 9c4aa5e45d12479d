import type { Logger } from "pino";
import type { Clock } from "./clock.ts";

/** Who is acting. Every mutation is audited under one of these. */
export type Actor =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "customer";
      readonly customerId: string;
      readonly sessionId: string;
      /** An operator of this deployment; the contract calls this caller `admin`. */
      readonly isOperator: boolean;
      /** The operator who looks through the customer's eyes. Such an actor changes nothing. */
      readonly impersonatedBy?: string;
      /** When looking so is over, whatever was opened before; milliseconds since the epoch. */
      readonly impersonatedUntilMs?: number;
    }
  | { readonly kind: "service"; readonly service: string }
  | { readonly kind: "system"; readonly task: string };

/**
 * The inner context: what every verb knows. It has no request and no response, so a verb runs the same from the API, from
 * a worker and from a test. `packages/db` adds the database to it.
 */
export interface Context {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly actor: Actor;
  readonly requestId: string;
  /** The caller's address, where there is one. */
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** W3C Trace Context of the request, carried into events and jobs. */
  readonly traceparent?: string | undefined;
}

/** A stable text for an actor, as audit rows and events carry it: `customer:cus_…`, `service:billing`, `anonymous`. */
export function actorName(actor: Actor): string {
  switch (actor.kind) {
    case "anonymous":
      return "anonymous";
    case "customer":
      return `customer:${actor.customerId}`;
    case "service":
      return `service:${actor.service}`;
    case "system":
      return `system:${actor.task}`;
  }
}

/** Whether an actor may read and nothing else. */
export const isReadOnly = (actor: Actor): boolean => actor.kind === "customer" && actor.impersonatedBy !== undefined;
export const isAdmin = (actor: Actor): boolean => actor.kind === "customer" && actor.isOperator;
export const isService = (actor: Actor): boolean => actor.kind === "service" || actor.kind === "system";
