import type { LowBalanceAlert, setLowBalanceAlertInput } from "@tollgate/contracts";
import { balanceLowAlertSet } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { ZERO_MICROS } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";

/** From where on the account's people hear that credit runs low. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function setLowBalanceAlert({
  ctx,
  input,
}: Verb<z.output<typeof setLowBalanceAlertInput>>): Promise<LowBalanceAlert> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  return withTransaction(
    ctx,
    async (ctx) => {
      const updatedAt = ctx.clock.now();
      const { balanceLevels } = schema;
      // Nothing falls below zero, so zero is silence; null would be the deployment's default.
      const thresholdMicros = input.thresholdMicros ?? ZERO_MICROS;
      await ctx.db
        .insert(balanceLevels)
        .values({ billingAccountId: input.billingAccountId, thresholdMicros, updatedAt })
        .onConflictDoUpdate({
          target: balanceLevels.billingAccountId,
          set: {
            thresholdMicros,
            // Another threshold is another crossing; the same one again is not.
            isLow: sql`${balanceLevels.isLow} and ${balanceLevels.thresholdMicros} is not distinct from excluded.threshold_micros`,
            updatedAt,
          },
        });
      await writeAudit(ctx, {
        action: "balance.setLowBalanceAlert",
        subject: input.billingAccountId,
        after: { thresholdMicros: input.thresholdMicros },
      });
      await appendEvent(ctx, balanceLowAlertSet, {
        billingAccountId: input.billingAccountId,
        threshold: input.thresholdMicros?.toString() ?? null,
      });
      return input;
    },
    { isIdempotent: true },
  );
}
