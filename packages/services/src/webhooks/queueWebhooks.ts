import { WEBHOOK_EVENTS } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, isNull, or } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { insertDeliveries } from "./insertDeliveries.ts";

/** What is needed of a domain event. */
export interface AnnouncedEvent {
  readonly id: string;
  readonly subject: string;
  readonly time: Date;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * The consumer of every event of the public catalogue: writes a delivery for each endpoint that asked for it. An endpoint of
 * a project is told of that project; one of a billing account of the account and of all its projects.
 */
export async function queueWebhooks(ctx: ServiceContext, event: AnnouncedEvent): Promise<void> {
  const definition = WEBHOOK_EVENTS.find(({ type }) => type === event.subject);
  if (definition === undefined) throw new Error(`${event.subject} is not in the public catalogue`);
  // What the public schema does not name stays here.
  const data = definition.data.parse(event.data);
  const endpoints = await findEndpoints(ctx, event.data);
  const wanting = endpoints.filter(({ events }) => wantsEvent(events, event.subject));
  await insertDeliveries(
    ctx,
    wanting.map(({ id }) => id),
    { id: event.id, type: definition.type, version: definition.version, timestamp: event.time, data },
  );
}

/** Whether a list of types, `keys.*` and `*` takes in a type. */
export const wantsEvent = (events: readonly string[], type: string): boolean =>
  events.some((filter) => filter === "*" || filter === type || filter === `${type.split(".")[0]}.*`);

async function findEndpoints(
  ctx: ServiceContext,
  data: Readonly<Record<string, unknown>>,
): Promise<{ readonly id: string; readonly events: string[] }[]> {
  const { projects, webhookEndpoints: endpoints } = schema;
  const projectId = typeof data["projectId"] === "string" ? data["projectId"] : undefined;
  let accountId = typeof data["billingAccountId"] === "string" ? data["billingAccountId"] : undefined;
  if (accountId === undefined && projectId !== undefined) {
    const [project] = await ctx.db
      .select({ accountId: projects.billingAccountId })
      .from(projects)
      .where(eq(projects.id, projectId));
    accountId = project?.accountId;
  }
  const owners = [
    ...(projectId === undefined ? [] : [eq(endpoints.projectId, projectId)]),
    ...(accountId === undefined ? [] : [eq(endpoints.billingAccountId, accountId)]),
  ];
  if (owners.length === 0) return [];
  return ctx.db
    .select({ id: endpoints.id, events: endpoints.events })
    .from(endpoints)
    .where(and(or(...owners), eq(endpoints.status, "enabled"), isNull(endpoints.deletedAt)));
}
