import { topUpJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, eq, lt, lte, sql } from "drizzle-orm";
import { requireAdminOrService } from "../../permissions.ts";
import type { PaymentsContext } from "../stripeAccount.ts";

const { autoTopUps, budgets } = schema;
const ACCOUNTS_MAX = 500;

/**
 * Orders a look at every account whose wallet seems to be below its threshold. The job looks properly; here it is enough
 * that no account is left out. @returns how many
 */
export async function sweepTopUps({ ctx }: { readonly ctx: PaymentsContext }): Promise<number> {
  requireAdminOrService(ctx);
  if (ctx.stripe === undefined) return 0;
  return withTransaction(
    ctx,
    async (ctx) => {
      const due = await ctx.db
        .select({ billingAccountId: autoTopUps.billingAccountId })
        .from(autoTopUps)
        .leftJoin(budgets, and(eq(budgets.billingAccountId, autoTopUps.billingAccountId), eq(budgets.kind, "wallet")))
        .where(
          and(
            eq(autoTopUps.isOn, true),
            lte(autoTopUps.nextAttemptAt, ctx.clock.now()),
            lt(
              sql`coalesce(${budgets.limitAmount} + ${budgets.overdraft} - ${budgets.used} - ${budgets.held}, 0)`,
              autoTopUps.thresholdMicros,
            ),
          ),
        )
        .orderBy(autoTopUps.nextAttemptAt)
        .limit(ACCOUNTS_MAX);
      for (const { billingAccountId } of due) await appendJob(ctx, topUpJob, { billingAccountId });
      return due.length;
    },
    { isIdempotent: true },
  );
}
