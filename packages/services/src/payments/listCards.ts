import type { accountPaymentsInput, Card, CardList } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import { and, desc, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import type { PaymentsContext, PaymentsVerb } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { findStripeCustomer } from "./stripeCustomer.ts";
import { fetchCards } from "./sync/syncCards.ts";

/**
 * The account's cards, newest first, as Stripe has them now; while Stripe cannot be reached, as they were last known.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function listCards({
  ctx,
  input,
}: PaymentsVerb<z.output<typeof accountPaymentsInput>>): Promise<CardList> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  requireStripe(ctx);
  const stripeCustomerId = await findStripeCustomer(ctx, input.billingAccountId);
  if (stripeCustomerId === undefined) return { items: [] };
  try {
    const found = await fetchCards(ctx, stripeCustomerId);
    const items = (found?.cards ?? []).map(({ id, created, card }) => ({
      id,
      brand: card.brand,
      last4: card.last4,
      expMonth: card.exp_month,
      expYear: card.exp_year,
      isDefault: id === found?.defaultCardId,
      createdAt: new Date(created * 1_000),
    }));
    return { items };
  } catch (error) {
    if (error instanceof TollgateError && error.code === "UNAVAILABLE") {
      return { items: await knownCards(ctx, input.billingAccountId) };
    }
    throw error;
  }
}

async function knownCards(ctx: PaymentsContext, billingAccountId: string): Promise<Card[]> {
  const { paymentCards } = schema;
  const rows = await ctx.db
    .select()
    .from(paymentCards)
    .where(and(eq(paymentCards.billingAccountId, billingAccountId), isNull(paymentCards.removedAt)))
    .orderBy(desc(paymentCards.createdAt), desc(paymentCards.id));
  return rows.map(({ billingAccountId: _, removedAt: __, ...card }) => card);
}
