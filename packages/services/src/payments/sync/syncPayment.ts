import { PAYMENT_KINDS } from "@tollgate/contracts";
import { schema, withTransaction } from "@tollgate/db";
import { unavailable } from "@tollgate/kernel";
import { eq, or } from "drizzle-orm";
import { askStripe } from "../askStripe.ts";
import { microsOf, toCurrency } from "../currency.ts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { METADATA } from "../stripeCustomer.ts";
import { applyPayment } from "./applyPayment.ts";
import type { PaymentFacts } from "./paymentFacts.ts";
import { ownerOf, PAYMENT_EXPANSIONS, readPaymentFacts } from "./paymentFacts.ts";

const { billingAccounts, payments } = schema;
const ASKS_MAX = 8;

/**
 * Asks Stripe what a payment intent is now, and makes the payment that it is for the same. An answer is applied only if
 * no other was since it was asked for, so that what two processes were told at different moments cannot end in the older.
 * @returns the payment; undefined if the intent is none of this deployment's payments for credit
 */
export async function syncPayment(ctx: PaymentsContext, paymentIntentId: string): Promise<PaymentRow | undefined> {
  const { client } = requireStripe(ctx);
  for (let ask = 0; ask < ASKS_MAX; ask += 1) {
    const before = await findByIntent(ctx, paymentIntentId);
    const facts = readPaymentFacts(
      await askStripe(() => client.paymentIntents.retrieve(paymentIntentId, { expand: PAYMENT_EXPANSIONS })),
    );
    const owner = ownerOf(facts.metadata);
    if (owner === undefined) return undefined;
    const row = before ?? (await adoptPayment(ctx, owner, facts));
    if (row === undefined) return undefined;
    const applied = await applyPayment(ctx, row.id, row.revision, facts);
    if (applied !== undefined) return applied;
  }
  throw unavailable(`The payment intent ${paymentIntentId} changes faster than it can be read`);
}

/** Applies an answer that Stripe has just given to a write of ours; asks again if something came in between. */
export async function applyAnswer(ctx: PaymentsContext, row: PaymentRow, facts: PaymentFacts): Promise<PaymentRow> {
  const applied = (await applyPayment(ctx, row.id, row.revision, facts)) ?? (await syncPayment(ctx, facts.id));
  if (applied === undefined) throw new Error(`The payment intent ${facts.id} does not say whose it is`);
  return applied;
}

async function findByIntent(ctx: PaymentsContext, paymentIntentId: string): Promise<PaymentRow | undefined> {
  const [row] = await ctx.db.select().from(payments).where(eq(payments.stripePaymentIntentId, paymentIntentId));
  return row;
}

/**
 * The payment that an intent says it is for. One that this deployment has no row of, as after a restored backup, gets
 * one: the intent carries everything that it needs.
 */
async function adoptPayment(
  ctx: PaymentsContext,
  owner: { readonly paymentId: string; readonly billingAccountId: string },
  facts: PaymentFacts,
): Promise<PaymentRow | undefined> {
  const [known] = await ctx.db.select().from(payments).where(eq(payments.id, owner.paymentId));
  // The intent says whose it is, and so does the row: both must mean the same account.
  if (known !== undefined) return known.billingAccountId === owner.billingAccountId ? known : undefined;
  const [account] = await ctx.db
    .select({ id: billingAccounts.id })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, owner.billingAccountId));
  const kind = PAYMENT_KINDS.find((name) => name === facts.metadata[METADATA.kind]);
  const { currency } = requireStripe(ctx);
  if (account === undefined || kind === undefined || facts.currency !== currency.code) return undefined;
  const now = ctx.clock.now();
  return withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .insert(payments)
        .values({
          id: owner.paymentId,
          billingAccountId: owner.billingAccountId,
          kind,
          status: "pending",
          idempotencyKey: `adopted:${facts.id}`,
          requestHash: "",
          amountCents: facts.amount,
          currency: facts.currency,
          amountMicros: microsOf(toCurrency(facts.currency), facts.amount),
          stripePaymentIntentId: facts.id,
          createdAt: new Date(facts.created * 1_000),
          updatedAt: now,
        })
        .onConflictDoNothing();
      const [row] = await ctx.db
        .select()
        .from(payments)
        .where(or(eq(payments.id, owner.paymentId), eq(payments.stripePaymentIntentId, facts.id)));
      return row;
    },
    { isIdempotent: true },
  );
}
