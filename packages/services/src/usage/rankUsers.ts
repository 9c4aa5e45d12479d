import { withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import { CALLS_KEPT_MS } from "./internal.ts";

/**
 * Counts the calls of the last 30 days of every project that wants to be named.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but the machinery
 */
export async function rankUsers({ ctx }: { readonly ctx: ServiceContext }): Promise<void> {
  requireService(ctx);
  const since = new Date(ctx.clock.nowMs() - CALLS_KEPT_MS).toISOString();
  await withTransaction(
    ctx,
    (ctx) =>
      ctx.db.execute(sql`
        update projects set ranked_calls = coalesce((
          select sum(u.calls) from usage_hourly as u
          where u.project_id = projects.id and u.mode = 'live' and u.hour >= ${since}::timestamptz), 0)
        where ranking_name is not null and deleted_at is null`),
    { isIdempotent: true },
  );
}
