import type { Ingested, ingestInput } from "@tollgate/contracts";
import type { SqlTransaction } from "@tollgate/db";
import { withSqlTransaction } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
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
  await requireMember(ctx, input.projectId, [], { orAdmin: true });
  const now = ctx.clock.now();
  const { answer, events } = planIngest(input.projectId, input.events, now.getTime());
  if (events.length > 0) {
    await withSqlTransaction(ctx.database, (sql) => foldEvents(sql, input.projectId, now, events), {
      isIdempotent: true,
      isLockingItsRows: true,
    });
  }
  return answer;
}

/** The insert decides which events are new, and locks them; only those are counted. Everyone inserts in one order. */
async function foldEvents(
  sql: SqlTransaction,
  projectId: string,
  now: Date,
  events: readonly PlannedEvent[],
): Promise<void> {
  const counts = await sql<{ type: string; hour: Date; events: string }[]>`
    with inserted as (
      insert into reported_events (key, project_id, type, occurred_at, received_at, event)
      select e.key, ${projectId}::text, e.type, e.occurred_at, ${now}::timestamptz, e.event
      from unnest(${events.map((event) => event.key)}::text[], ${events.map((event) => event.type)}::text[],
                  ${events.map((event) => new Date(event.occurredAtMs).toISOString())}::timestamptz[],
                  ${events.map((event) => event.json)}::text[]) as e (key, type, occurred_at, event)
      on conflict (key) do nothing
      returning type, occurred_at)
    select type, date_trunc('hour', occurred_at at time zone 'UTC') at time zone 'UTC' as hour, count(*) as events
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
