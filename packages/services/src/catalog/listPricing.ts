import type { Pricing } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { asc, inArray } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { loadEndpoints, toEndpoint, VISIBLE_STATUSES } from "./internal.ts";

/** What every published endpoint costs, now and from when prices change. Anyone may ask. */
export async function listPricing({ ctx }: { readonly ctx: ServiceContext }): Promise<Pricing> {
  const { apis } = schema;
  const rows = await ctx.db
    .select({ id: apis.id, name: apis.name, displayName: apis.displayName })
    .from(apis)
    .where(inArray(apis.status, [...VISIBLE_STATUSES]))
    .orderBy(asc(apis.name));
  const byApi = await loadEndpoints(
    ctx,
    rows.map((row) => row.id),
  );
  const now = ctx.clock.now();
  return {
    items: rows.map(({ id, name, displayName }) => ({
      name,
      displayName,
      endpoints: (byApi.get(id) ?? [])
        .filter((endpoint) => endpoint.retiredAt === null)
        .map((facts) => {
          const { method, path, priceMicros, nextPrices, freePerMonth, unit, maxUnits, ...endpoint } = toEndpoint(
            facts,
            now,
          );
          return { name: endpoint.name, method, path, priceMicros, nextPrices, freePerMonth, unit, maxUnits };
        }),
    })),
  };
}
