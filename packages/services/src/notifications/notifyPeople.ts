import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, eq, or } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { listResponsible } from "./audience.ts";
import { describeEvent } from "./describeEvent.ts";

/** What is needed of a domain event. */
export interface ToldEvent {
  readonly id: string;
  readonly subject: string;
  readonly actor: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const { notifications, notificationSubscriptions: subscriptions } = schema;

/**
 * The consumer of what people are told of: one notification for each who is responsible or has subscribed, and none for
 * whoever did it. A second copy of the event adds nothing.
 */
export async function notifyPeople(ctx: ServiceContext, event: ToldEvent): Promise<void> {
  const idOf = (field: string): string | null => {
    const value = event.data[field];
    return typeof value === "string" ? value : null;
  };
  const about = {
    projectId: idOf("projectId"),
    billingAccountId: idOf("projectId") === null ? idOf("billingAccountId") : null,
    apiId: idOf("apiId"),
  };
  const people = new Set<string>();
  if (about.projectId !== null || about.billingAccountId !== null) {
    for (const { customerId } of await listResponsible(ctx, about)) people.add(customerId);
  }
  const watched = [
    ["project", about.projectId],
    ["billingAccount", about.billingAccountId],
    ["api", about.apiId],
  ] as const;
  const wanted = watched.flatMap(([type, id]) =>
    id === null ? [] : [and(eq(subscriptions.resourceType, type), eq(subscriptions.resourceId, id))],
  );
  if (wanted.length > 0) {
    const rows = await ctx.db
      .select({ customerId: subscriptions.customerId })
      .from(subscriptions)
      .where(or(...wanted));
    for (const { customerId } of rows) people.add(customerId);
  }
  people.delete(event.actor.replace(/^customer:/, ""));
  if (people.size === 0) return;
  const text = describeEvent(event.subject, event.data);
  const rows = [...people].map((customerId) => ({
    id: newId("notification"),
    customerId,
    eventId: event.id,
    type: event.subject,
    text,
    ...about,
    createdAt: ctx.clock.now(),
  }));
  await ctx.db
    .insert(notifications)
    .values(rows)
    .onConflictDoNothing({ target: [notifications.customerId, notifications.eventId] });
}
