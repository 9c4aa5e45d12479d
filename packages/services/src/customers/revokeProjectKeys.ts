import { keysRevoked } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { and, inArray, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { keyEventData } from "../keys/internal.ts";

/** Ends the keys of projects that lose their last owner, at once and for good, inside a transaction. */
export async function revokeProjectKeys(ctx: ServiceContext, projectIds: readonly string[]): Promise<string[]> {
  if (projectIds.length === 0) return [];
  const { keys } = schema;
  const now = ctx.clock.now();
  const revoked = await ctx.db
    .update(keys)
    .set({ status: "revoked", revokedAt: now, updatedAt: now })
    .where(and(inArray(keys.projectId, [...projectIds]), ne(keys.status, "revoked")))
    .returning();
  for (const key of revoked) {
    await writeAudit(ctx, { action: "keys.revoke", subject: key.id, after: { status: "revoked" } });
    await appendEvent(ctx, keysRevoked, keyEventData(key));
  }
  return revoked.map((key) => key.id);
}
