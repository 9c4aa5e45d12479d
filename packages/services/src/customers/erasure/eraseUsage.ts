import { schema } from "@tollgate/db";
import { count, inArray } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/**
 * Usage names no person: a call is a project, a key, an endpoint and numbers, and what these ids stood for is erased by
 * the other steps. It stays, because every line of the ledger is proven by it; the single calls go with their retention.
 * What is noted here is how many of them are still there. The events that services reported hold whatever they wrote into
 * them, so those are deleted, and their counts stay.
 */
export async function eraseUsage(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { calls } = schema;
  const projectIds = await findOwnedAlone(ctx, customer.id);
  if (projectIds.length === 0) return { projects: 0, callsUntilRetention: 0, eventsDeleted: 0 };
  const [row] = await ctx.db.select({ calls: count() }).from(calls).where(inArray(calls.projectId, projectIds));
  const eventsDeleted = await deleteEvents(ctx, projectIds);
  return { projects: projectIds.length, callsUntilRetention: Number(row?.calls ?? 0), eventsDeleted };
}

const BATCH = 5_000;

async function deleteEvents(ctx: ServiceContext, projectIds: readonly string[]): Promise<number> {
  const { reportedEvents } = schema;
  const isTheirs = inArray(reportedEvents.projectId, [...projectIds]);
  let deleted = 0;
  for (let batch = BATCH; batch === BATCH; deleted += batch) {
    const some = ctx.db.select({ key: reportedEvents.key }).from(reportedEvents).where(isTheirs).limit(BATCH);
    const rows = await ctx.db
      .delete(reportedEvents)
      .where(inArray(reportedEvents.key, some))
      .returning({ key: reportedEvents.key });
    batch = rows.length;
  }
  return deleted;
}
