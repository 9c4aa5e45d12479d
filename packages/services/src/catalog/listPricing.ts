import type { Pricing, pricingInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { isVisible, loadEndpoints, toEndpoint } from "./internal.ts";

/** What published endpoints cost, now and from when prices change; the newest APIs first. Anyone may ask. */
export async function listPricing({ ctx, input }: Verb<z.output<typeof pricingInput>>): Promise<Pricing> {
  const { apis } = schema;
  const rows = await ctx.db
    .select({ id: apis.id, name: apis.name, displayName: apis.displayName, createdAt: apis.createdAt })
    .from(apis)
    .where(and(isVisible, afterCursor(apis.createdAt, apis.id, input.cursor)))
    .orderBy(...newestFirst(apis.createdAt, apis.id))
    .limit(input.limit + 1);
  const byApi = await loadEndpoints(
    ctx,
    rows.slice(0, input.limit).map((row) => row.id),
  );
  const now = ctx.clock.now();
  return toPage(rows, input.limit, ({ id, name, displayName }) => ({
    name,
    displayName,
    endpoints: (byApi.get(id) ?? [])
      .filter((endpoint) => endpoint.retiredAt === null)
      .map((facts) => {
        const endpoint = toEndpoint(facts, now);
        const { method, path, priceMicros, nextPrices, freePerMonth, unit, maxUnits } = endpoint;
        return { name: endpoint.name, method, path, priceMicros, nextPrices, freePerMonth, unit, maxUnits };
      }),
  }));
}
