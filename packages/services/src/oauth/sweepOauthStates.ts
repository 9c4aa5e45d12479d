import { schema, withTransaction } from "@tollgate/db";
import { asc, inArray, lte } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const BATCH = 1_000;
const { oauthStates } = schema;

/**
 * Forgets sign-ins that were started and not finished in time. @returns how many
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but the machinery
 */
export async function sweepOauthStates({ ctx }: { readonly ctx: ServiceContext }): Promise<number> {
  requireService(ctx);
  let forgotten = 0;
  for (;;) {
    const rows = await withTransaction(ctx, forgetSome, { isIdempotent: true });
    forgotten += rows;
    if (rows < BATCH) return forgotten;
  }
}

async function forgetSome(ctx: ServiceContext): Promise<number> {
  const over = ctx.db
    .select({ id: oauthStates.id })
    .from(oauthStates)
    .where(lte(oauthStates.expiresAt, ctx.clock.now()))
    .orderBy(asc(oauthStates.expiresAt))
    .limit(BATCH);
  const rows = await ctx.db.delete(oauthStates).where(inArray(oauthStates.id, over)).returning({ id: oauthStates.id });
  return rows.length;
}
