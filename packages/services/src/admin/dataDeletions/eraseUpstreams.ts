import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, inArray } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { listAskedApis, requestDeletions } from "./requestDeletions.ts";

const { apis, dataDeletions } = schema;

/**
 * The step `upstreams` of an erasure: asks every API, once, for what it holds of projects that have ended, and is done when
 * all of them have said that it is gone. What an API does not confirm is tried again by its own job and schedule; this only
 * looks. @throws Error that names the APIs that have not confirmed yet
 */
export async function eraseUpstreams(
  ctx: ServiceContext,
  subject: { readonly projectIds: readonly string[] },
): Promise<void> {
  const { projectIds } = subject;
  if (projectIds.length === 0) return;
  const open = await withTransaction(
    ctx,
    async (ctx) => {
      const ofErasure = and(inArray(dataDeletions.projectId, [...projectIds]), eq(dataDeletions.cause, "erasure"));
      const known = await ctx.db.select().from(dataDeletions).where(ofErasure);
      const asked = await listAskedApis(ctx);
      for (const projectId of projectIds) {
        const missing = asked.filter(
          (api) => !known.some((row) => row.projectId === projectId && row.apiId === api.id),
        );
        if (missing.length === 0) continue;
        // What an operator has asked for and is still open would be taken for another's: it is this erasure's from now on.
        await ctx.db
          .update(dataDeletions)
          .set({ cause: "erasure" })
          .where(and(eq(dataDeletions.projectId, projectId), inArray(dataDeletions.status, ["pending", "failed"])));
        const rows = await requestDeletions(ctx, projectId, missing, "erasure");
        const after = { cause: "erasure", deletionIds: rows.map((row) => row.id) };
        await writeAudit(ctx, { action: "admin.deleteTenantData", subject: projectId, after });
      }
      return ctx.db
        .select({ api: apis.name, status: dataDeletions.status })
        .from(dataDeletions)
        .innerJoin(apis, eq(apis.id, dataDeletions.apiId))
        .where(and(ofErasure, inArray(dataDeletions.status, ["pending", "failed"])));
    },
    { isIdempotent: true },
  );
  if (open.length === 0) return;
  const names = [...new Set(open.map(({ api, status }) => (status === "failed" ? `${api} (given up)` : api)))].sort();
  throw new Error(`Not confirmed yet by ${names.join(", ")}`);
}
