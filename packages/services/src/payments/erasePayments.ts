import { schema, withTransaction } from "@tollgate/db";
import { and, eq, inArray, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { askStripe } from "./askStripe.ts";
import type { StripeAccount } from "./stripeAccount.ts";

const { autoTopUps, paymentCards, paymentCustomers } = schema;

/**
 * Makes Stripe forget the customers of billing accounts that nobody administers any more, and with them their cards. The
 * payments stay, here and there: they are the books. May run again: a customer who is gone is gone.
 */
export async function erasePayments(
  ctx: ServiceContext,
  stripe: StripeAccount,
  subject: { readonly billingAccountIds: readonly string[] },
): Promise<void> {
  if (subject.billingAccountIds.length === 0) return;
  const rows = await ctx.db
    .select()
    .from(paymentCustomers)
    .where(
      and(
        inArray(paymentCustomers.billingAccountId, [...subject.billingAccountIds]),
        isNull(paymentCustomers.deletedAt),
      ),
    );
  for (const { billingAccountId, stripeCustomerId } of rows) {
    await deleteAtStripe(stripe, stripeCustomerId);
    await withTransaction(ctx, (ctx) => forgetAccount(ctx, billingAccountId), { isIdempotent: true });
  }
}

async function deleteAtStripe({ client }: StripeAccount, stripeCustomerId: string): Promise<void> {
  try {
    await askStripe(() => client.customers.del(stripeCustomerId));
  } catch (error) {
    if ((error as { code?: unknown }).code !== "NOT_FOUND") throw error;
  }
}

async function forgetAccount(ctx: ServiceContext, billingAccountId: string): Promise<void> {
  const now = ctx.clock.now();
  await ctx.db
    .update(paymentCustomers)
    .set({ deletedAt: now })
    .where(eq(paymentCustomers.billingAccountId, billingAccountId));
  await ctx.db.delete(paymentCards).where(eq(paymentCards.billingAccountId, billingAccountId));
  await ctx.db
    .update(autoTopUps)
    .set({ isOn: false, offReason: "erased", updatedAt: now })
    .where(eq(autoTopUps.billingAccountId, billingAccountId));
}
