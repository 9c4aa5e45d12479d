import type { settleJob } from "@tollgate/contracts";
import { TollgateError } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireService } from "../permissions.ts";
import { settleCompletely } from "./settleWallets.ts";

/**
 * Settles accounts completely, together as long as that goes well: the work of one `balance.settle` job. Cut at any point
 * and run again, it goes on where it was. An account that cannot be settled holds up no other.
 * @throws TollgateError of the first account that could not be settled, after all others were
 */
export async function settleAccounts({
  ctx,
  input,
}: Verb<z.output<typeof settleJob.schema>>): Promise<{ readonly transactions: number }> {
  requireService(ctx);
  const before = new Date(input.before);
  const ids = [...new Set(input.billingAccountIds)];
  try {
    return { transactions: await settleCompletely(ctx, ids, before) };
  } catch (error) {
    if (ids.length === 1 || !isOfOneAccount(error)) throw error;
  }
  let transactions = 0;
  const failures: unknown[] = [];
  for (const id of ids) {
    await settleCompletely(ctx, [id], before).then(
      (posted) => {
        transactions += posted;
      },
      (error: unknown) => failures.push(error),
    );
  }
  if (failures.length > 0) throw failures[0];
  return { transactions };
}

/** Whether others may go well: not when the database is away. */
const isOfOneAccount = (error: unknown): boolean =>
  !(error instanceof TollgateError && ["database_unavailable", "commit_unknown"].includes(error.reason ?? ""));
