import type { CloudEvent, listEventsInput, Page, UsageEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";

const { reportedEvents } = schema;

/** A project's events of one table (their CloudEvents `type`), the last received first. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listEvents({ ctx, input }: Verb<z.output<typeof listEventsInput>>): Promise<Page<UsageEvent>> {
  await requireMember(ctx, input.projectId, "usage.listEvents", { orAdmin: true });
  const rows = await ctx.db
    .select()
    .from(reportedEvents)
    .where(
      and(
        eq(reportedEvents.projectId, input.projectId),
        eq(reportedEvents.type, input.table),
        afterCursor(reportedEvents.receivedAt, reportedEvents.key, input.cursor),
      ),
    )
    .orderBy(...newestFirst(reportedEvents.receivedAt, reportedEvents.key))
    .limit(input.limit + 1);
  return toPage(
    rows.map((row) => ({ ...row, id: row.key, createdAt: row.receivedAt })),
    input.limit,
    toUsageEvent,
  );
}

function toUsageEvent(row: typeof reportedEvents.$inferSelect): UsageEvent {
  const event = JSON.parse(row.event) as CloudEvent;
  return {
    id: event.id,
    source: event.source,
    table: row.type,
    subject: event.subject ?? null,
    occurredAt: row.occurredAt,
    receivedAt: row.receivedAt,
    record: event.data ?? event.data_base64 ?? null,
    contentType: event.datacontenttype ?? null,
    isBase64: event.data_base64 != null,
  };
}
