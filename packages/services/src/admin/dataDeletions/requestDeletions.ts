import { adminTenantDataDeletionRequested, deleteTenantDataJob } from "@tollgate/contracts";
import { appendEvent, appendJob, schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, asc, eq, inArray, isNotNull, ne } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";

const { apis, dataDeletions } = schema;
export type DataDeletionRow = typeof dataDeletions.$inferSelect;
export type DataDeletionCause = DataDeletionRow["cause"];

/** APIs that say where they are asked to delete data; one that was removed may still hold some. */
export async function listAskedApis(ctx: ServiceContext): Promise<{ readonly id: string; readonly name: string }[]> {
  return ctx.db
    .select({ id: apis.id, name: apis.name })
    .from(apis)
    .where(and(isNotNull(apis.deleteDataUrl), ne(apis.status, "draft")))
    .orderBy(asc(apis.name));
}

/**
 * Asks each of the APIs for the data of a project, inside a transaction: what is pending or was given up is due at once and
 * has all its attempts before it, and where nothing is, there is a new row. @returns the rows
 */
export async function requestDeletions(
  ctx: ServiceContext,
  projectId: string,
  asked: readonly { readonly id: string; readonly name: string }[],
  cause: DataDeletionCause,
): Promise<DataDeletionRow[]> {
  if (asked.length === 0) return [];
  const now = ctx.clock.now();
  const apiIds = asked.map((api) => api.id);
  const open = await ctx.db
    .update(dataDeletions)
    .set({ status: "pending", attempts: 0, nextAttemptAt: now, completedAt: null })
    .where(
      and(
        eq(dataDeletions.projectId, projectId),
        inArray(dataDeletions.apiId, apiIds),
        inArray(dataDeletions.status, ["pending", "failed"]),
      ),
    )
    .returning();
  const missing = asked.filter((api) => !open.some((row) => row.apiId === api.id));
  const made =
    missing.length === 0
      ? []
      : await ctx.db
          .insert(dataDeletions)
          .values(
            missing.map((api) => ({
              id: newId("dataDeletion"),
              projectId,
              apiId: api.id,
              cause,
              status: "pending" as const,
              nextAttemptAt: now,
              createdAt: now,
            })),
          )
          .returning();
  const names = new Map(asked.map((api) => [api.id, api.name]));
  const rows = [...open, ...made];
  for (const { id, apiId } of rows) {
    const api = names.get(apiId) ?? apiId;
    await appendEvent(ctx, adminTenantDataDeletionRequested, { deletionId: id, projectId, apiId, api });
    await appendJob(ctx, deleteTenantDataJob, { deletionId: id });
  }
  return rows;
}
