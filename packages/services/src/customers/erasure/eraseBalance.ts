import { schema } from "@tollgate/db";
import { and, eq, inArray, isNull, ne } from "drizzle-orm";
import { walletBudgetId } from "../../budgets/budgetIds.ts";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

const { billingAccountAdmins, billingAccounts, budgets, customers } = schema;

/**
 * Billing accounts. One with other admins goes on without this one. One that nobody administers any more loses its name
 * and is noted with what is left in its wallet: credit that was paid for may be owed back, so it is neither booked away
 * nor lost, and the operator decides. The ledger stays as it is.
 */
export async function eraseBalance(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const left = await ctx.db
    .delete(billingAccountAdmins)
    .where(eq(billingAccountAdmins.customerId, customer.id))
    .returning({ id: billingAccountAdmins.billingAccountId });
  const leftAlone: string[] = [];
  const unspentMicros: Record<string, string> = {};
  for (const { id } of left) {
    if (await hasOtherAdmin(ctx, id, customer.id)) continue;
    leftAlone.push(id);
    const [wallet] = await ctx.db
      .select()
      .from(budgets)
      .where(eq(budgets.id, walletBudgetId(id)));
    if (wallet !== undefined) unspentMicros[id] = (wallet.limitAmount - wallet.used).toString();
  }
  if (leftAlone.length > 0) {
    await ctx.db
      .update(billingAccounts)
      .set({ name: "Erased", updatedAt: ctx.clock.now() })
      .where(inArray(billingAccounts.id, leftAlone));
  }
  return { accounts: left.length, leftAlone, unspentMicros };
}

async function hasOtherAdmin(ctx: ServiceContext, billingAccountId: string, customerId: string): Promise<boolean> {
  const rows = await ctx.db
    .select({ id: billingAccountAdmins.customerId })
    .from(billingAccountAdmins)
    .innerJoin(customers, eq(customers.id, billingAccountAdmins.customerId))
    .where(
      and(
        eq(billingAccountAdmins.billingAccountId, billingAccountId),
        ne(billingAccountAdmins.customerId, customerId),
        isNull(customers.deletedAt),
      ),
    )
    .limit(1);
  return rows.length > 0;
}
