import type { RankingName, setRankingNameInput } from "@tollgate/contracts";
import { usageRankingNameChanged } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";

/**
 * Shows a project among the top users under a name, or no longer; for its admins. Nobody is shown who did not ask for it.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function setRankingName({
  ctx,
  input: { projectId, displayName },
}: Verb<z.output<typeof setRankingNameInput>>): Promise<RankingName> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const project = await requireMember(ctx, projectId, "usage.setRankingName");
      if (project.rankingName === displayName) return { displayName };
      const change = { rankingName: displayName, updatedAt: ctx.clock.now() };
      await ctx.db.update(schema.projects).set(change).where(eq(schema.projects.id, projectId));
      await writeAudit(ctx, {
        action: "usage.setRankingName",
        subject: projectId,
        before: { displayName: project.rankingName },
        after: { displayName },
      });
      await appendEvent(ctx, usageRankingNameChanged, { projectId, displayName });
      return { displayName };
    },
    { isIdempotent: true },
  );
}
