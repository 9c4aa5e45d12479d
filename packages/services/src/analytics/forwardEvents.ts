import type { DomainEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { EventHandler } from "../messages/index.ts";
import type { AnalyticsFact } from "./reduceEvent.ts";
import { reduceEvent } from "./reduceEvent.ts";
import type { AnalyticsSink } from "./sink.ts";

const { analyticsDeliveries, apis, billingAccounts, customers, projects } = schema;

/**
 * The consumer of every event: one row for each sink that wants to hear of it, in the transaction that notes the event as
 * handled, so each sink is told once. What the self-test does is nobody's business.
 */
export const forwardEvents =
  (sinks: readonly AnalyticsSink[]): EventHandler =>
  async (ctx, event: DomainEvent) => {
    if (sinks.length === 0) return;
    const fact = reduceEvent(event);
    const told = sinks.flatMap((sink) => {
      const payload = sink.describe(fact);
      return payload === undefined ? [] : [{ sink: sink.name, payload }];
    });
    if (told.length === 0 || (await isInternal(ctx, fact))) return;
    const now = ctx.clock.now();
    const rows = told.map(({ sink, payload }) => ({
      id: newId("analyticsDelivery"),
      sink,
      payload,
      eventId: event.id,
      subject: event.subject,
      customerId: fact.customerId ?? null,
      status: "pending" as const,
      nextAttemptAt: now,
      createdAt: now,
    }));
    await ctx.db
      .insert(analyticsDeliveries)
      .values(rows)
      .onConflictDoNothing({ target: [analyticsDeliveries.sink, analyticsDeliveries.eventId] });
  };

/** Whether an event is about the product's own people or projects. One whose customer has no row any more was one of them. */
async function isInternal(ctx: ServiceContext, fact: AnalyticsFact): Promise<boolean> {
  const { customerId, projectId, billingAccountId } = fact;
  if (customerId !== undefined) {
    const [row] = await ctx.db
      .select({ isInternal: customers.isInternal })
      .from(customers)
      .where(eq(customers.id, customerId));
    if (row?.isInternal !== false) return true;
  }
  if (projectId !== undefined) {
    const [row] = await ctx.db
      .select({ isInternal: billingAccounts.isInternal })
      .from(projects)
      .innerJoin(billingAccounts, eq(billingAccounts.id, projects.billingAccountId))
      .where(eq(projects.id, projectId));
    if (row?.isInternal === true) return true;
  }
  if (billingAccountId !== undefined) {
    const [row] = await ctx.db
      .select({ isInternal: billingAccounts.isInternal })
      .from(billingAccounts)
      .where(eq(billingAccounts.id, billingAccountId));
    if (row?.isInternal === true) return true;
  }
  const { apiId } = fact.properties;
  if (typeof apiId !== "string") return false;
  const [row] = await ctx.db.select({ isInternal: apis.isInternal }).from(apis).where(eq(apis.id, apiId));
  return row?.isInternal === true;
}
