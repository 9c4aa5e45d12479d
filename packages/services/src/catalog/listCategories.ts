import type { Categories } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { asc, count } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { isVisible } from "./internal.ts";

/** The categories of published APIs and how many are in each. Anyone may ask. */
export async function listCategories({ ctx }: { readonly ctx: ServiceContext }): Promise<Categories> {
  const { apis } = schema;
  const items = await ctx.db
    .select({ category: apis.category, apis: count() })
    .from(apis)
    .where(isVisible)
    .groupBy(apis.category)
    .orderBy(asc(apis.category));
  return { items };
}
