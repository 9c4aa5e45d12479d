import type { DataDeletion, deleteTenantDataInput } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { requireAdmin } from "../../permissions.ts";
import { toDataDeletion } from "./listDataDeletions.ts";
import { listAskedApis, requestDeletions } from "./requestDeletions.ts";

/**
 * Has every published API asked to delete what it holds of a project, which may have ended. What is under way already is
 * due again at once, and what was given up begins anew.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND
 */
export async function deleteTenantData({
  ctx,
  input,
}: Verb<z.output<typeof deleteTenantDataInput>>): Promise<{ items: DataDeletion[] }> {
  requireAdmin(ctx);
  const { projects } = schema;
  const { projectId } = input;
  return withTransaction(
    ctx,
    async (ctx) => {
      const [project] = await ctx.db.select({ id: projects.id }).from(projects).where(eq(projects.id, projectId));
      if (project === undefined) throw notFound("project");
      const asked = await listAskedApis(ctx);
      const rows = await requestDeletions(ctx, projectId, asked, "operator");
      const after = { cause: "operator", deletionIds: rows.map((row) => row.id) };
      await writeAudit(ctx, { action: "admin.deleteTenantData", subject: projectId, after });
      const names = new Map(asked.map((api) => [api.id, api.name]));
      return { items: rows.map((row) => toDataDeletion(row, names.get(row.apiId) ?? "")) };
    },
    { isIdempotent: true },
  );
}
