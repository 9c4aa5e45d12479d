import { schema, withTransaction } from "@tollgate/db";
import { and, eq, gte, inArray, ne, sum } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import { isVisible } from "./internal.ts";

const WINDOW_MS = 30 * 86_400_000;
const POPULARITY_MAX = 10;
/** Calls this many standard deviations above the mean do not set the scale, or one giant would make all others equal. */
const OUTLIER_Z = 1.5;

/**
 * Gives every published API its popularity from the calls of the last 30 days. It only writes what changed, and it is no
 * change of the catalogue: gateways need not load it again.
 */
export async function rankApis({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly changed: number }> {
  requireAdminOrService(ctx);
  const { apis, endpoints, usageHourly } = schema;
  const since = new Date(ctx.clock.nowMs() - WINDOW_MS);
  return withTransaction(
    ctx,
    async (ctx) => {
      const rows = await ctx.db.select({ id: apis.id }).from(apis).where(isVisible);
      const sums = await ctx.db
        .select({ apiId: endpoints.apiId, calls: sum(usageHourly.calls).mapWith(Number) })
        .from(usageHourly)
        .innerJoin(endpoints, eq(endpoints.id, usageHourly.endpointId))
        .where(and(gte(usageHourly.hour, since), eq(usageHourly.mode, "live")))
        .groupBy(endpoints.apiId);
      const callsByApi = new Map(sums.map((row) => [row.apiId, row.calls]));
      const popularity = scalePopularity(rows.map((row) => ({ id: row.id, calls: callsByApi.get(row.id) ?? 0 })));
      let changed = 0;
      for (let rank = 1; rank <= POPULARITY_MAX; rank += 1) {
        const ids = [...popularity].filter(([, value]) => value === rank).map(([id]) => id);
        if (ids.length === 0) continue;
        const updated = await ctx.db
          .update(apis)
          .set({ popularity: rank, rankedAt: ctx.clock.now() })
          .where(and(inArray(apis.id, ids), ne(apis.popularity, rank)))
          .returning({ id: apis.id });
        changed += updated.length;
      }
      return { changed };
    },
    { isIdempotent: true },
  );
}

/** 1 to 10, linear in the calls between none and the most that is not an outlier; outliers have 10. */
export function scalePopularity(rows: readonly { readonly id: string; readonly calls: number }[]): Map<string, number> {
  const counts = rows.map((row) => row.calls);
  const mean = counts.reduce((total, calls) => total + calls, 0) / Math.max(counts.length, 1);
  const variance = counts.reduce((total, calls) => total + (calls - mean) ** 2, 0) / Math.max(counts.length, 1);
  const deviation = Math.sqrt(variance);
  const isOutlier = (calls: number): boolean => deviation > 0 && (calls - mean) / deviation > OUTLIER_Z;
  const scale = Math.max(0, ...counts.filter((calls) => !isOutlier(calls)));
  return new Map(
    rows.map(({ id, calls }) => {
      if (calls === 0) return [id, 1];
      if (isOutlier(calls) || calls >= scale) return [id, POPULARITY_MAX];
      return [id, Math.max(1, Math.ceil((calls / scale) * POPULARITY_MAX))];
    }),
  );
}
