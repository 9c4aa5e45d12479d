import type { Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import type { Settlement } from "./settleWallets.ts";
import { settleTogether } from "./settleWallets.ts";

/**
 * Posts an account's usage of the hours before `before` to the ledger: one transaction with a line for each project,
 * endpoint and price, taking from the grants that were good in each hour, and takes off credit that expired. What was
 * posted is remembered with the usage itself, so running it again, or in two places at once, posts nothing twice, and a
 * call that is counted later is posted later.
 * @throws TollgateError FORBIDDEN; NOT_FOUND; BAD_REQUEST when `before` is in the future
 */
export async function settleAccount({
  ctx,
  input,
}: Verb<{ readonly billingAccountId: string; readonly before: Date }>): Promise<Settlement> {
  requireAdminOrService(ctx);
  const settlement = (await settleTogether(ctx, [input.billingAccountId], input.before)).get(input.billingAccountId);
  if (settlement === undefined) throw new Error(`${input.billingAccountId} was not settled`);
  return settlement;
}
