import { schema } from "@tollgate/db";
import { and, inArray, isNotNull, lt } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const { inbox, outbox } = schema;
const DAY_MS = 86_400_000;
/** What was sent stays this long, to be sent again should the stream be lost. */
export const OUTBOX_RETENTION_DAYS = 14;
/** Longer than an event can come again from the stream or the outbox, so that a note is there whenever it does. */
export const INBOX_RETENTION_DAYS = 30;
const ROWS_MAX = 5_000;
const BATCHES_MAX = 40;

/** Clears away what was sent and handled long ago, a bounded number of rows at a time. */
export async function sweepMessages({ ctx }: { readonly ctx: ServiceContext }): Promise<void> {
  requireService(ctx);
  const daysAgo = (days: number): Date => new Date(ctx.clock.nowMs() - days * DAY_MS);
  const sentBefore = and(isNotNull(outbox.sentAt), lt(outbox.sentAt, daysAgo(OUTBOX_RETENTION_DAYS)));
  const handledBefore = lt(inbox.handledAt, daysAgo(INBOX_RETENTION_DAYS));
  await repeat(async () => {
    const old = ctx.db.select({ id: outbox.id }).from(outbox).where(sentBefore).limit(ROWS_MAX);
    return ctx.db.delete(outbox).where(inArray(outbox.id, old)).returning({ id: outbox.id });
  });
  await repeat(async () => {
    const old = ctx.db.select({ id: inbox.eventId }).from(inbox).where(handledBefore).limit(ROWS_MAX);
    return ctx.db
      .delete(inbox)
      .where(and(handledBefore, inArray(inbox.eventId, old)))
      .returning({ id: inbox.eventId });
  });
}

async function repeat(deleteSome: () => Promise<unknown[]>): Promise<void> {
  for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
    if ((await deleteSome()).length === 0) return;
  }
}
