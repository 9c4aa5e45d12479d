import { keysRevoked } from "@tollgate/contracts";
import { appendEvent, schema } from "@tollgate/db";
import { and, eq, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { KeyRow } from "./internal.ts";
import { keyEventData } from "./internal.ts";

/** Revokes what a project still has of keys, inside the transaction of whoever ends it. @returns the keys that changed */
export async function revokeProjectKeys(ctx: ServiceContext, projectId: string): Promise<KeyRow[]> {
  const { keys } = schema;
  const now = ctx.clock.now();
  const revoked = await ctx.db
    .update(keys)
    .set({ status: "revoked", revokedAt: now, updatedAt: now })
    .where(and(eq(keys.projectId, projectId), ne(keys.status, "revoked")))
    .returning();
  for (const key of revoked) await appendEvent(ctx, keysRevoked, keyEventData(key));
  return revoked;
}
