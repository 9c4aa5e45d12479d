import type { Balance, billingAccountIdInput } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { hourFloor, subtractMicros, sumMicros, toMicros } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { walletBudgetId } from "../budgets/budgetIds.ts";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { compareGrants } from "./grantOrder.ts";
import { toGrant } from "./listGrants.ts";
import { planSettlement } from "./planSettlement.ts";
import { gatherSettlement } from "./settlementFacts.ts";

/**
 * What is in a wallet now: see `balanceDto` for the words. Expired credit does not count from the moment it expires,
 * also before the ledger says so.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function readBalance({ ctx, input }: Verb<z.output<typeof billingAccountIdInput>>): Promise<Balance> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orMember: true, orAdmin: true });
  return withTransaction(ctx, (ctx) => readInTransaction(ctx, input.billingAccountId), { isIdempotent: true });
}

async function readInTransaction(ctx: ServiceContext, billingAccountId: string): Promise<Balance> {
  const { budgets } = schema;
  const [row] = await ctx.db
    .select()
    .from(budgets)
    .where(eq(budgets.id, walletBudgetId(billingAccountId)));
  const wallet = row ?? { billingAccountId, limitAmount: 0n, overdraft: 0n, used: 0n, held: 0n };
  // As a settlement would leave it: posting changes nothing of what the customer owns, but credit that has expired, or
  // that a late call brings back, is only known by it.
  const gathered = await gatherSettlement(ctx, wallet, hourFloor(ctx.clock.nowMs()));
  const plan = planSettlement(gathered);
  const accrued = toMicros(wallet.used - plan.totalMicros);
  const balance = subtractMicros(plan.postedAfterMicros, accrued);
  const held = toMicros(wallet.held);
  const creditLimit = toMicros(wallet.overdraft);
  const grants = gathered.grants
    .map((grant) =>
      toGrant({ ...grant, remainingMicros: plan.remainingByGrant.get(grant.id) ?? grant.remainingMicros }),
    )
    .filter((grant) => grant.remainingMicros > 0n);
  const order = new Map([...gathered.grants].sort(compareGrants).map((grant, index) => [grant.id, index]));
  return {
    billingAccountId,
    balance,
    held,
    available: subtractMicros(sumMicros([balance, creditLimit]), held),
    creditLimit,
    grants: grants.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0)),
  };
}
