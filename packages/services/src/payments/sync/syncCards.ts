import { paymentsMethodAdded, paymentsMethodRemoved } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type Stripe from "stripe";
import { z } from "zod";
import { askStripe } from "../askStripe.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { findAccountOf } from "../stripeCustomer.ts";

const { autoTopUps, paymentCards, paymentCustomers } = schema;

const cardSchema = z.object({
  id: z.string(),
  created: z.int(),
  card: z.object({ brand: z.string(), last4: z.string(), exp_month: z.int(), exp_year: z.int() }),
});
export type CardFacts = z.infer<typeof cardSchema>;

export interface CardsOfCustomer {
  readonly cards: readonly CardFacts[];
  readonly defaultCardId: string | null;
}

/** The cards of a customer as Stripe has them; undefined for a customer whom Stripe has forgotten. */
export async function fetchCards(ctx: PaymentsContext, stripeCustomerId: string): Promise<CardsOfCustomer | undefined> {
  const { client } = requireStripe(ctx);
  return askStripe(async () => {
    const customer = await client.customers.retrieve(stripeCustomerId);
    if (customer.deleted === true) return undefined;
    const cards: CardFacts[] = [];
    for await (const method of client.customers.listPaymentMethods(stripeCustomerId, { type: "card", limit: 100 })) {
      cards.push(cardSchema.parse(method));
    }
    return { cards, defaultCardId: defaultOf(customer) };
  });
}

function defaultOf(customer: Stripe.Customer): string | null {
  return z.object({ default_payment_method: z.string().nullable() }).parse(customer.invoice_settings)
    .default_payment_method;
}

/**
 * Makes the cards known here those that a customer of Stripe's has, and announces each that came and each that went,
 * once. Whether one was taken off is only believed when it was there before Stripe was asked.
 */
export async function syncCards(ctx: PaymentsContext, stripeCustomerId: string): Promise<void> {
  const billingAccountId = await findAccountOf(ctx, stripeCustomerId);
  if (billingAccountId === undefined) return;
  const before = await ctx.db
    .select({ id: paymentCards.id })
    .from(paymentCards)
    .where(and(eq(paymentCards.billingAccountId, billingAccountId), isNull(paymentCards.removedAt)));
  const found = await fetchCards(ctx, stripeCustomerId);
  await withTransaction(
    ctx,
    async (ctx) => {
      if (found === undefined) await forgetCustomer(ctx, stripeCustomerId);
      const cards = found?.cards ?? [];
      for (const card of cards) await keepCard(ctx, billingAccountId, card, card.id === found?.defaultCardId);
      const present = new Set(cards.map(({ id }) => id));
      for (const { id } of before) if (!present.has(id)) await removeCard(ctx, billingAccountId, id);
    },
    { isIdempotent: true },
  );
}

async function forgetCustomer(ctx: PaymentsContext, stripeCustomerId: string): Promise<void> {
  await ctx.db
    .update(paymentCustomers)
    .set({ deletedAt: ctx.clock.now() })
    .where(and(eq(paymentCustomers.stripeCustomerId, stripeCustomerId), isNull(paymentCustomers.deletedAt)));
}

async function keepCard(
  ctx: PaymentsContext,
  billingAccountId: string,
  { id, created, card }: CardFacts,
  isDefault: boolean,
): Promise<void> {
  const [added] = await ctx.db
    .insert(paymentCards)
    .values({
      id,
      billingAccountId,
      brand: card.brand,
      last4: card.last4,
      expMonth: card.exp_month,
      expYear: card.exp_year,
      isDefault,
      createdAt: new Date(created * 1_000),
    })
    .onConflictDoNothing({ target: paymentCards.id })
    .returning();
  if (added !== undefined) {
    await appendEvent(ctx, paymentsMethodAdded, { billingAccountId, cardId: id, brand: card.brand, last4: card.last4 });
    return;
  }
  await ctx.db
    .update(paymentCards)
    .set({ isDefault, expMonth: card.exp_month, expYear: card.exp_year })
    .where(eq(paymentCards.id, id));
}

async function removeCard(ctx: PaymentsContext, billingAccountId: string, cardId: string): Promise<void> {
  const now = ctx.clock.now();
  const [removed] = await ctx.db
    .update(paymentCards)
    .set({ removedAt: now, isDefault: false })
    .where(and(eq(paymentCards.id, cardId), isNull(paymentCards.removedAt)))
    .returning();
  if (removed === undefined) return;
  await ctx.db
    .update(autoTopUps)
    .set({ isOn: false, offReason: "card_removed", updatedAt: now })
    .where(
      and(eq(autoTopUps.billingAccountId, billingAccountId), eq(autoTopUps.cardId, cardId), eq(autoTopUps.isOn, true)),
    );
  const { brand, last4 } = removed;
  await appendEvent(ctx, paymentsMethodRemoved, { billingAccountId, cardId, brand, last4 });
}
