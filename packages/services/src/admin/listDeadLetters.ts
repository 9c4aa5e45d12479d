import type { DeadLetter, listDeadLettersInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";

/** Events that consumers gave up, the latest first. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listDeadLetters({
  ctx,
  input,
}: Verb<z.output<typeof listDeadLettersInput>>): Promise<Page<DeadLetter>> {
  requireAdmin(ctx);
  const { parkedEvents } = schema;
  const { consumer, subject, cursor, limit } = input;
  const rows = await ctx.db
    .select()
    .from(parkedEvents)
    .where(
      and(
        eq(parkedEvents.status, "dead"),
        consumer === undefined ? undefined : eq(parkedEvents.consumer, consumer),
        subject === undefined ? undefined : eq(parkedEvents.subject, subject),
        afterCursor(parkedEvents.diedAt, parkedEvents.id, cursor),
      ),
    )
    .orderBy(...newestFirst(parkedEvents.diedAt, parkedEvents.id))
    .limit(limit + 1);
  const letters = rows.map((row) => ({
    ...row,
    firstFailedAt: row.createdAt,
    // A dead letter's own beginning is its end as an event.
    createdAt: row.diedAt ?? row.createdAt,
  }));
  return toPage(letters, limit, (letter) => letter);
}
