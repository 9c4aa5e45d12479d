import { keysExpired } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { and, asc, inArray, isNull, lte, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import { keyEventData } from "./internal.ts";

const BATCH = 200;
const { keys } = schema;

/**
 * Announces the keys that have expired since it last ran, once each however many run at the same time. Gateways do not
 * wait for it: they know the instant. @returns how many were announced
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but the machinery
 */
export async function announceExpiredKeys({ ctx }: { readonly ctx: ServiceContext }): Promise<number> {
  requireService(ctx);
  let announced = 0;
  for (;;) {
    const batch = await withTransaction(ctx, announceSome, { isIdempotent: true });
    announced += batch;
    if (batch < BATCH) return announced;
  }
}

async function announceSome(ctx: ServiceContext): Promise<number> {
  const now = ctx.clock.now();
  const due = ctx.db
    .select({ id: keys.id })
    .from(keys)
    .where(and(lte(keys.expiresAt, now), isNull(keys.expiryAnnouncedAt), ne(keys.status, "revoked")))
    .orderBy(asc(keys.expiresAt))
    .limit(BATCH)
    .for("update", { skipLocked: true });
  const expired = await ctx.db.update(keys).set({ expiryAnnouncedAt: now }).where(inArray(keys.id, due)).returning();
  for (const key of expired) await appendEvent(ctx, keysExpired, keyEventData(key));
  return expired.length;
}
