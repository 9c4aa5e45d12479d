import type { Tier } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { asc } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { toTier } from "./internal.ts";

/** Every plan, cheapest first. Anyone may ask. */
export async function listTiers({ ctx }: { readonly ctx: ServiceContext }): Promise<{ items: Tier[] }> {
  const rows = await ctx.db.select().from(schema.tiers).orderBy(asc(schema.tiers.rank), asc(schema.tiers.id));
  return { items: rows.map(toTier) };
}
