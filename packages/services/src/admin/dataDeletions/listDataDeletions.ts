import type { DataDeletion, listDataDeletionsInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { afterCursor, newestFirst, toPage } from "../../paging.ts";
import { requireAdmin } from "../../permissions.ts";
import type { DataDeletionRow } from "./requestDeletions.ts";

/** What APIs were asked to delete and what came of it, newest first. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function listDataDeletions({
  ctx,
  input,
}: Verb<z.output<typeof listDataDeletionsInput>>): Promise<Page<DataDeletion>> {
  requireAdmin(ctx);
  const { apis, dataDeletions } = schema;
  const { projectId, status, cursor, limit } = input;
  const rows = await ctx.db
    .select({ deletion: dataDeletions, api: apis.name })
    .from(dataDeletions)
    .innerJoin(apis, eq(apis.id, dataDeletions.apiId))
    .where(
      and(
        projectId === undefined ? undefined : eq(dataDeletions.projectId, projectId),
        status === undefined ? undefined : eq(dataDeletions.status, status),
        afterCursor(dataDeletions.createdAt, dataDeletions.id, cursor),
      ),
    )
    .orderBy(...newestFirst(dataDeletions.createdAt, dataDeletions.id))
    .limit(limit + 1);
  const deletions = rows.map(({ deletion, api }) => toDataDeletion(deletion, api));
  return toPage(deletions, limit, (deletion) => deletion);
}

export function toDataDeletion(row: DataDeletionRow, api: string): DataDeletion {
  const { id, projectId, apiId, cause, status, attempts, attemptLog, nextAttemptAt, createdAt, completedAt } = row;
  return {
    ...{ id, projectId, apiId, api, cause, status, attempts, attemptLog, createdAt, completedAt },
    nextAttemptAt: status === "pending" ? nextAttemptAt : null,
  };
}
