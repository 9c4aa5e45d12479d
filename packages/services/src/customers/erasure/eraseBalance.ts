import type { InvoiceParty } from "@tollgate/db";
import { schema } from "@tollgate/db";
import { and, eq, inArray, sql } from "drizzle-orm";
import { walletBudgetId } from "../../budgets/budgetIds.ts";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findAdministeredAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

const { billingAccountAdmins, billingAccounts, budgets, invoices } = schema;

/** Whom an account and its invoices name when nobody is behind them any more. */
const NOBODY: InvoiceParty = { name: "Erased", address: null, taxId: null, email: null };

/**
 * Billing accounts. One with other admins goes on without this one. One that nobody administers any more loses its name,
 * address and tax id, also on the invoices that it got, and is noted with what is left in its wallet: credit that was paid
 * for may be owed back, so it is neither booked away nor lost, and the operator decides. The ledger stays as it is, and so
 * do the invoices' numbers, lines and amounts.
 */
export async function eraseBalance(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const leftAlone = await findAdministeredAlone(ctx, customer.id);
  const left = await ctx.db
    .delete(billingAccountAdmins)
    .where(eq(billingAccountAdmins.customerId, customer.id))
    .returning({ id: billingAccountAdmins.billingAccountId });
  const unspentMicros: Record<string, string> = {};
  for (const id of leftAlone) {
    const [wallet] = await ctx.db
      .select()
      .from(budgets)
      .where(eq(budgets.id, walletBudgetId(id)));
    if (wallet !== undefined) unspentMicros[id] = (wallet.limitAmount - wallet.used).toString();
  }
  if (leftAlone.length > 0) {
    await ctx.db
      .update(billingAccounts)
      .set({ name: NOBODY.name, address: null, taxId: null, invoiceEmail: null, updatedAt: ctx.clock.now() })
      .where(inArray(billingAccounts.id, leftAlone));
    await ctx.db
      .update(invoices)
      .set({ customer: NOBODY, updatedAt: ctx.clock.now() })
      .where(inArray(invoices.billingAccountId, leftAlone));
  }
  await forgetInvoiceAddress(
    ctx,
    customer.email,
    left.map(({ id }) => id),
  );
  return { accounts: left.length, leftAlone, unspentMicros };
}

/** An account that goes on may have had its invoices mailed to the person. */
async function forgetInvoiceAddress(ctx: ServiceContext, email: string, accountIds: readonly string[]): Promise<void> {
  if (accountIds.length === 0) return;
  await ctx.db
    .update(billingAccounts)
    .set({ invoiceEmail: null, updatedAt: ctx.clock.now() })
    .where(and(inArray(billingAccounts.id, [...accountIds]), eq(billingAccounts.invoiceEmail, email)));
  await ctx.db
    .update(invoices)
    .set({ customer: sql`jsonb_set(${invoices.customer}, '{email}', 'null')`, updatedAt: ctx.clock.now() })
    .where(
      and(inArray(invoices.billingAccountId, [...accountIds]), sql`${invoices.customer}->>'email' = ${email}::text`),
    );
}
