import type { Key, keyIdInput } from "@tollgate/contracts";
import { keysRevoked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { keyEventData, requireKey, toKey } from "./internal.ts";

/**
 * Ends a key at once and for good, for the project's developers. A key that is revoked already stays as it is.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function revokeKey({ ctx, input }: Verb<z.output<typeof keyIdInput>>): Promise<Key> {
  const { keys } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const { key, project } = await requireKey(ctx, input.id, "keys.revoke");
      if (key.status === "revoked") return toKey(ctx, project, key);
      const now = ctx.clock.now();
      const change = { status: "revoked", revokedAt: now, updatedAt: now } as const;
      await ctx.db.update(keys).set(change).where(eq(keys.id, key.id));
      await writeAudit(ctx, {
        action: "keys.revoke",
        subject: key.id,
        before: { status: key.status },
        after: { status: change.status },
      });
      await appendEvent(ctx, keysRevoked, keyEventData(key));
      return toKey(ctx, project, { ...key, ...change });
    },
    { isIdempotent: true },
  );
}
