import { schema } from "@tollgate/db";
import { eq, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { lockLiveApi } from "./internal.ts";

/**
 * Locks an API and moves the catalogue's version, for another domain that changes what gateways must know of the API.
 * @throws TollgateError NOT_FOUND, GONE
 */
export async function reviseApi(
  ctx: ServiceContext,
  name: string,
): Promise<{ readonly id: string; readonly name: string }> {
  const { apis } = schema;
  const { id } = await lockLiveApi(ctx, name);
  await ctx.db
    .update(apis)
    .set({ revision: sql`${apis.revision} + 1` })
    .where(eq(apis.id, id));
  return { id, name };
}
