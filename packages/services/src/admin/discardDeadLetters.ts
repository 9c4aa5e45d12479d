import type { PickedDeadLetters, pickDeadLettersInput } from "@tollgate/contracts";
import { adminDeadLetterDiscarded } from "@tollgate/contracts";
import { appendEvent, claimEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { pickDeadLetters } from "./pickDeadLetters.ts";

const { parkedEvents } = schema;

/**
 * Gives dead letters up for good: to their consumers they count as handled, so they do not come again either.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND
 */
export async function discardDeadLetters({
  ctx,
  input,
}: Verb<z.output<typeof pickDeadLettersInput>>): Promise<PickedDeadLetters> {
  requireAdmin(ctx);
  return withTransaction(ctx, async (ctx) => {
    const picked = await pickDeadLetters(ctx, input);
    for (const row of picked) {
      const { consumer, eventId, subject, reason, lastError } = row;
      await claimEvent(ctx, row.consumer, row.eventId);
      await ctx.db.delete(parkedEvents).where(eq(parkedEvents.id, row.id));
      const before = { consumer, eventId, subject, reason, lastError };
      await writeAudit(ctx, { action: "admin.deadLetters.discard", subject: row.id, before });
      await appendEvent(ctx, adminDeadLetterDiscarded, { consumer, eventId, of: subject });
    }
    return { count: picked.length };
  });
}
