import type { Key, listKeysInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";
import { toKeys } from "./internal.ts";

/** The keys of a project, newest first, for its members. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listKeys({ ctx, input }: Verb<z.output<typeof listKeysInput>>): Promise<Page<Key>> {
  const project = await requireMember(ctx, input.projectId, "keys.list");
  const { keys } = schema;
  const rows = await ctx.db
    .select()
    .from(keys)
    .where(and(eq(keys.projectId, project.id), afterCursor(keys.createdAt, keys.id, input.cursor)))
    .orderBy(...newestFirst(keys.createdAt, keys.id))
    .limit(input.limit + 1);
  const { items, nextCursor } = toPage(rows, input.limit, (row) => row);
  return { items: await toKeys(ctx, project, items), nextCursor };
}
