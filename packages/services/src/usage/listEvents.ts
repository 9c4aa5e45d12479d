import type { CloudEvent, listEventsInput, Page, UsageEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";

const { usageEvents } = schema;

/** A project's events of one table (their CloudEvents `type`), the last received first. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listEvents({ ctx, input }: Verb<z.output<typeof listEventsInput>>): Promise<Page<UsageEvent>> {
  await requireMember(ctx, input.projectId, "usage.listEvents", { orAdmin: true });
  const rows = await ctx.db
    .select()
    .from(usageEvents)
    .where(
      and(
        eq(usageEvents.projectId, input.projectId),
        eq(usageEvents.type, input.table),
        afterCursor(usageEvents.receivedAt, usageEvents.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(usageEvents.receivedAt, usageEvents.id))
    .limit(input.limit + 1);
  return toPage(
    rows.map((row) => ({ ...row, createdAt: row.receivedAt })),
    input.limit,
    toUsageEvent,
  );
}

function toUsageEvent(row: typeof usageEvents.$inferSelect): UsageEvent {
  const event = row.event as CloudEvent;
  return {
    id: row.eventId,
    source: row.source,
    table: row.type,
    subject: event.subject ?? null,
    occurredAt: row.occurredAt,
    receivedAt: row.receivedAt,
    record: event.data ?? event.data_base64 ?? null,
    contentType: event.datacontenttype ?? null,
    isBase64: event.data_base64 != null,
  };
}
