import type { ConsumedSubject, ConsumerName, DomainEvent, EventSubject } from "@tollgate/contracts";
import type { ServiceContext } from "../context.ts";

/**
 * What a consumer does about an event. It runs inside the transaction that also notes the event as handled: what it writes
 * there is done once, whatever dies when. It reaches nothing beyond the database; for that it orders a job.
 * The context carries the request id and the trace of whoever caused the event.
 */
export type EventHandler<Subject extends EventSubject = EventSubject> = (
  ctx: ServiceContext,
  event: DomainEvent<Subject>,
) => Promise<void>;

/** A handler for each subject of the table: one that is missing does not compile. */
export type EventHandlers<Name extends ConsumerName> = {
  readonly [Subject in ConsumedSubject<Name>]: EventHandler<Subject>;
};

/** The handlers of every consumer that the contracts name. */
export type Consumers = { readonly [Name in ConsumerName]: EventHandlers<Name> };

/** A consumer as the machinery sees it. */
export interface Consumer {
  readonly name: string;
  readonly handlers: ReadonlyMap<string, EventHandler<never>>;
}

/** The consumers of a table of handlers. */
export function consumersOf(
  table: Readonly<Record<string, { readonly [Subject in EventSubject]?: EventHandler<Subject> }>>,
): Consumer[] {
  return Object.entries(table).map(([name, handlers]) => ({
    name,
    handlers: new Map<string, EventHandler<never>>(
      Object.entries<unknown>(handlers) as [string, EventHandler<never>][],
    ),
  }));
}

/** One handler for a whole list of subjects, for a consumer that treats them alike. */
export function handleEach<Subject extends EventSubject>(
  subjects: readonly Subject[],
  handler: EventHandler<Subject>,
): { readonly [Each in Subject]: EventHandler<Each> } {
  const handlers: Partial<Record<EventSubject, unknown>> = {};
  for (const subject of subjects) handlers[subject] = handler;
  return handlers as { readonly [Each in Subject]: EventHandler<Each> };
}
