import type { Ingested, ingestInput } from "@tollgate/contracts";
import type { SqlTransaction } from "@tollgate/db";
import { withSqlTransaction } from "@tollgate/db";
import { hourFloor, newId } from "@tollgate/kernel";
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
  const { answer, events } = planIngest(input.events, now.getTime());
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
  const inserted = await sql<{ type: string; occurred_at: Date }[]>`
    insert into usage_events (project_id, source, event_id, id, type, occurred_at, received_at, event)
    select ${projectId}::text, e.source, e.event_id, e.id, e.type, e.occurred_at, ${now}::timestamptz, e.event::jsonb
    from unnest(${events.map((event) => event.source)}::text[], ${events.map((event) => event.eventId)}::text[],
                ${events.map(() => newId("event"))}::text[], ${events.map((event) => event.type)}::text[],
                ${events.map((event) => new Date(event.occurredAtMs).toISOString())}::timestamptz[],
                ${events.map((event) => event.json)}::text[]) as e (source, event_id, id, type, occurred_at, event)
    on conflict (project_id, source, event_id) do nothing
    returning type, occurred_at`;
  if (inserted.length === 0) return;
  const counts = countByHour(inserted);
  await sql`
    insert into usage_events_hourly as u (project_id, hour, type, events)
    select ${projectId}::text, c.hour, c.type, c.events
    from unnest(${counts.map((count) => count.hour)}::timestamptz[], ${counts.map((count) => count.type)}::text[],
                ${counts.map((count) => count.events)}::int8[]) as c (hour, type, events)
    on conflict (project_id, hour, type) do update set events = u.events + excluded.events`;
}

interface HourCount {
  readonly hour: string;
  readonly type: string;
  readonly events: number;
}

function countByHour(rows: readonly { readonly type: string; readonly occurred_at: Date }[]): HourCount[] {
  const counts = new Map<string, number>();
  for (const { type, occurred_at } of rows) {
    const ms = occurred_at.getTime();
    const key = `${hourFloor(ms).toISOString()} ${type}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, events]) => {
      const space = key.indexOf(" ");
      return { hour: key.slice(0, space), type: key.slice(space + 1), events };
    });
}
