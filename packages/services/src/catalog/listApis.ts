import type { ApiSummary, catalogIndexInput, listApisInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdminOrService } from "../permissions.ts";
import { isVisible, summaryColumns, toSummary } from "./internal.ts";

const { apis } = schema;

/** All APIs, drafts and removed ones too, newest first. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listApis({ ctx, input }: Verb<z.output<typeof listApisInput>>): Promise<Page<ApiSummary>> {
  requireAdminOrService(ctx);
  const rows = await ctx.db
    .select(summaryColumns)
    .from(apis)
    .where(
      and(
        input.status === undefined ? undefined : eq(apis.status, input.status),
        afterCursor(apis.createdAt, apis.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(apis.createdAt, apis.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toSummary);
}

/** The public catalogue, newest first. Anyone may ask. */
export async function indexApis({ ctx, input }: Verb<z.output<typeof catalogIndexInput>>): Promise<Page<ApiSummary>> {
  const rows = await ctx.db
    .select(summaryColumns)
    .from(apis)
    .where(
      and(
        isVisible,
        input.category === undefined ? undefined : eq(apis.category, input.category),
        afterCursor(apis.createdAt, apis.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(apis.createdAt, apis.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toSummary);
}
