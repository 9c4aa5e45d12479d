import type { Ingested, ingestInput } from "@tollgate/contracts";
import type { SqlTransaction } from "@tollgate/db";
import { schema, withSqlTransaction } from "@tollgate/db";
import { localHourStartMs } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireMember, requireService } from "../permissions.ts";
import type { PlannedEvent } from "./planIngest.ts";
import { planIngest } from "./planIngest.ts";

/**
 * Takes what services report of a project: each event is stored and counted once, by (project, source, id), and that is
 * committed before it is answered. An event that comes again within 35 days changes nothing and is answered as before.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND. What is wrong with single events is in their results
 */
export async function ingestEvents({ ctx, input }: Verb<z.output<typeof ingestInput>>): Promise<Ingested> {
  requireService(ctx);
  const project = await requireMember(ctx, input.projectId, [], { orAdmin: true });
  const now = ctx.clock.now();
  const { answer, events } = planIngest(input.projectId, input.events, now.getTime());
  if (events.length > 0) {
    const hours = hoursOf(events, await readTimeZone(ctx, project.billingAccountId));
    await withSqlTransaction(ctx.database, (sql) => foldEvents(sql, input.projectId, now, events, hours), {
      isIdempotent: true,
      isLockingItsRows: true,
    });
  }
  return answer;
}

async function readTimeZone(ctx: ServiceContext, billingAccountId: string): Promise<string> {
  const { billingAccounts } = schema;
  const [account] = await ctx.db
    .select({ timeZone: billingAccounts.timeZone })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, billingAccountId));
  return account?.timeZone ?? "UTC";
}

/** The hours in which these events happened, where the billing account is: when each began, in order. */
function hoursOf(events: readonly PlannedEvent[], timeZone: string): string[] {
  const hours = new Set(events.map(({ occurredAtMs }) => localHourStartMs(occurredAtMs, timeZone)));
  return [...hours].sort((a, b) => a - b).map((hourMs) => new Date(hourMs).toISOString());
}

/** The insert decides which events are new, and locks them; only those are counted. Everyone inserts in one order. */
async function foldEvents(
  sql: SqlTransaction,
  projectId: string,
  now: Date,
  events: readonly PlannedEvent[],
  hours: readonly string[],
): Promise<void> {
  // The hour of every event is among the hours, and they do not overlap: it is the last that has begun.
  const counts = await sql<{ type: string; hour: Date; events: string }[]>`
    with inserted as (
      insert into reported_events (key, project_id, type, occurred_at, received_at, event)
      select e.key, ${projectId}::text, e.type, e.occurred_at, ${now}::timestamptz, e.event
      from unnest(${events.map((event) => event.key)}::text[], ${events.map((event) => event.type)}::text[],
                  ${events.map((event) => new Date(event.occurredAtMs).toISOString())}::timestamptz[],
                  ${events.map((event) => event.json)}::text[]) as e (key, type, occurred_at, event)
      on conflict (key) do nothing
      returning type, occurred_at)
    select type, (${hours}::timestamptz[])[width_bucket(occurred_at, ${hours}::timestamptz[])] as hour, count(*) as events
    from inserted
    group by 1, 2 order by 1, 2`;
  if (counts.length === 0) return;
  await sql`
    insert into usage_events_hourly as u (project_id, hour, type, events)
    select ${projectId}::text, c.hour, c.type, c.events
    from unnest(${counts.map((count) => count.hour.toISOString())}::timestamptz[],
                ${counts.map((count) => count.type)}::text[],
                ${counts.map((count) => count.events)}::int8[]) as c (hour, type, events)
    on conflict (project_id, hour, type) do update set events = u.events + excluded.events`;
}
