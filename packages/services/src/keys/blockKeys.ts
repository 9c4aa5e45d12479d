import type { blockKeysInput, ChangedKeys } from "@tollgate/contracts";
import { keysBlocked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, ne, or } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { keyEventData } from "./internal.ts";
import { requireKeySubject } from "./keySubject.ts";

const { keys } = schema;

/**
 * Stops a key, the keys of a project or the keys of the projects that a customer owns, with the message that callers of
 * the gateway see. Blocking again changes the message. Revoked keys stay revoked. It is remembered that an operator did it:
 * lifting a ban does not let such a key work again.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN; NOT_FOUND for a key, project or customer that is not there
 */
export async function blockKeys({ ctx, input }: Verb<z.output<typeof blockKeysInput>>): Promise<ChangedKeys> {
  requireAdmin(ctx);
  const { message } = input;
  return withTransaction(
    ctx,
    async (ctx) => {
      const subject = await requireKeySubject(ctx, input);
      const isOtherwise = or(
        eq(keys.status, "active"),
        and(eq(keys.status, "blocked"), or(ne(keys.blockedMessage, message), ne(keys.blockedBy, "operator"))),
      );
      const changed = await ctx.db
        .update(keys)
        .set({ status: "blocked", blockedMessage: message, blockedBy: "operator", updatedAt: ctx.clock.now() })
        .where(and(subject, isOtherwise))
        .returning();
      for (const key of changed) {
        await writeAudit(ctx, { action: "keys.block", subject: key.id, after: { status: "blocked", message } });
        await appendEvent(ctx, keysBlocked, { ...keyEventData(key), message });
      }
      return { keyIds: changed.map((key) => key.id) };
    },
    { isIdempotent: true },
  );
}
