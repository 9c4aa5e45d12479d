import type { PickedDeadLetters, pickDeadLettersInput } from "@tollgate/contracts";
import { adminDeadLetterReplayed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { pickDeadLetters } from "./pickDeadLetters.ts";

const { parkedEvents } = schema;

/**
 * Has dead letters handled again, by the consumer that gave them up and no other. They come before whatever waits in their
 * lanes. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND
 */
export async function replayDeadLetters({
  ctx,
  input,
}: Verb<z.output<typeof pickDeadLettersInput>>): Promise<PickedDeadLetters> {
  requireAdmin(ctx);
  return withTransaction(ctx, async (ctx) => {
    const picked = await pickDeadLetters(ctx, input);
    for (const row of picked) {
      const { consumer, eventId, subject, reason, lastError } = row;
      await ctx.db
        .update(parkedEvents)
        .set({ status: "waiting", attempts: 0, nextAttemptAt: ctx.clock.now(), diedAt: null })
        .where(eq(parkedEvents.id, row.id));
      const before = { consumer, eventId, subject, reason, lastError };
      await writeAudit(ctx, { action: "admin.deadLetters.replay", subject: row.id, before });
      await appendEvent(ctx, adminDeadLetterReplayed, { consumer, eventId, of: subject });
    }
    return { count: picked.length };
  });
}
