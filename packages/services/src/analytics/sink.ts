import type { AnalyticsSinkName, EventSubject } from "@tollgate/contracts";
import type { schema } from "@tollgate/db";
import type { ServiceContext } from "../context.ts";
import type { AnalyticsFact } from "./reduceEvent.ts";

export type DeliveryRow = typeof schema.analyticsDeliveries.$inferSelect;

/** What became of a batch: each delivery that is not among the refused has arrived. */
export interface SinkAnswer {
  readonly refused: ReadonlyMap<string, string>;
}

/** The sink could not be asked, or could not answer: the whole batch comes again. */
export class SinkUnavailableError extends Error {
  override readonly name = "SinkUnavailableError";
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * One place beyond the product that hears of events. Adding one is one file and a line in `createSinks`. Whatever it is
 * told may come twice, and it must not mind.
 */
export interface AnalyticsSink {
  readonly name: AnalyticsSinkName;
  /** Deliveries that are sent at once. */
  readonly batchMax: number;
  /** What it is told of an event; undefined for one that is none of its business. */
  describe(fact: AnalyticsFact): Record<string, unknown> | undefined;
  /** @throws SinkUnavailableError */
  send(ctx: ServiceContext, batch: readonly DeliveryRow[]): Promise<SinkAnswer>;
  /** Makes it forget a person; the address is null if somebody else has it now. @throws SinkUnavailableError */
  forget(
    ctx: ServiceContext,
    subject: { readonly customerId: string; readonly email: string | null; readonly contactId: string | null },
  ): Promise<void>;
}

/** An event as sinks see it. */
export type FactSubject = EventSubject;
