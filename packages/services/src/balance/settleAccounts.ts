import type { settleJob } from "@tollgate/contracts";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import { settleAccount } from "./settleAccount.ts";

/**
 * Settles a few accounts completely, each in transactions of its own: the work of one `balance.settle` job. Cut at any
 * point and run again, it goes on where it was.
 */
export async function settleAccounts({
  ctx,
  input,
}: Verb<z.output<typeof settleJob.schema>>): Promise<{ readonly transactions: number }> {
  requireService(ctx);
  const before = new Date(input.before);
  let transactions = 0;
  for (const billingAccountId of input.billingAccountIds) {
    let isComplete = false;
    while (!isComplete) {
      const settlement = await settleAccount({ ctx, input: { billingAccountId, before } });
      if (settlement.transactionId !== null) transactions += 1;
      isComplete = settlement.isComplete;
    }
  }
  return { transactions };
}
