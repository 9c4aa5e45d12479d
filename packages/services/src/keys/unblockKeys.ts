import type { ChangedKeys, unblockKeysInput } from "@tollgate/contracts";
import { keysUnblocked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { keyEventData } from "./internal.ts";
import { requireKeySubject } from "./keySubject.ts";

const { keys } = schema;

/** Lets blocked keys work again; the audit row keeps what they were blocked for. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND */
export async function unblockKeys({ ctx, input }: Verb<z.output<typeof unblockKeysInput>>): Promise<ChangedKeys> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const subject = await requireKeySubject(ctx, input);
      const blocked = await ctx.db
        .select({ id: keys.id, blockedMessage: keys.blockedMessage, blockedBy: keys.blockedBy })
        .from(keys)
        .where(and(subject, eq(keys.status, "blocked")));
      const reasons = new Map(blocked.map(({ id, ...reason }) => [id, reason]));
      const changed = await ctx.db
        .update(keys)
        .set({ status: "active", blockedMessage: null, blockedBy: null, updatedAt: ctx.clock.now() })
        .where(and(subject, eq(keys.status, "blocked")))
        .returning();
      for (const key of changed) {
        await writeAudit(ctx, {
          action: "keys.unblock",
          subject: key.id,
          before: { status: "blocked", ...reasons.get(key.id) },
          after: { status: "active" },
        });
        await appendEvent(ctx, keysUnblocked, keyEventData(key));
      }
      return { keyIds: changed.map((key) => key.id) };
    },
    { isIdempotent: true },
  );
}
