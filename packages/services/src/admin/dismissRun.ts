import type { DismissedRun, dismissRunInput } from "@tollgate/contracts";
import { adminRunDismissed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, gte, isNotNull, lt } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";

const { budgetHolders } = schema;

/**
 * Ends the alarm about a run of a gateway that was given up and does not come back: what calls were on its disk is lost. It
 * counts and charges nothing, and calls that turn up all the same are still folded. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function dismissRun({ ctx, input }: Verb<z.output<typeof dismissRunInput>>): Promise<DismissedRun> {
  requireAdmin(ctx);
  const { runId } = input;
  const isGivenUp = and(
    gte(budgetHolders.id, `${runId}.`),
    lt(budgetHolders.id, `${runId}/`),
    isNotNull(budgetHolders.closedAt),
    isNotNull(budgetHolders.unfoldedSince),
  );
  return withTransaction(ctx, async (ctx) => {
    const found = await ctx.db
      .select({ id: budgetHolders.id, unfolded: budgetHolders.unfolded })
      .from(budgetHolders)
      .where(isGivenUp);
    for (const { id, unfolded } of found) {
      await ctx.db.update(budgetHolders).set({ unfolded: 0, unfoldedSince: null }).where(eq(budgetHolders.id, id));
      await writeAudit(ctx, { action: "admin.dismissRun", subject: runId, before: { unfolded } });
      await appendEvent(ctx, adminRunDismissed, { runId, unfolded });
    }
    return { count: found.length };
  });
}
