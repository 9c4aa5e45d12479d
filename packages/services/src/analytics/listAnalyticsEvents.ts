import type { AnalyticsEvent, listAnalyticsEventsInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";

const { analyticsDeliveries: deliveries } = schema;

/** Which event went to which sink, or why not yet, newest first. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listAnalyticsEvents({
  ctx,
  input,
}: Verb<z.output<typeof listAnalyticsEventsInput>>): Promise<Page<AnalyticsEvent>> {
  requireAdmin(ctx);
  const rows = await ctx.db
    .select()
    .from(deliveries)
    .where(
      and(
        input.sink === undefined ? undefined : eq(deliveries.sink, input.sink),
        input.status === undefined ? undefined : eq(deliveries.status, input.status),
        afterCursor(deliveries.createdAt, deliveries.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(deliveries.createdAt, deliveries.id))
    .limit(input.limit + 1);
  return toPage(
    rows,
    input.limit,
    ({ id, sink, eventId, subject, status, attempts, lastError, createdAt, sentAt }) => ({
      id,
      sink,
      eventId,
      subject,
      status,
      attempts,
      lastError,
      createdAt,
      sentAt,
    }),
  );
}
