import { schema, withTransaction } from "@tollgate/db";
import { eq, sql } from "drizzle-orm";
import Stripe from "stripe";
import { askStripe } from "./askStripe.ts";
import type { PaymentRow } from "./internal.ts";
import type { PaymentsContext } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { findStripeCustomer, METADATA } from "./stripeCustomer.ts";
import { announceFailure } from "./sync/applyPayment.ts";
import { PAYMENT_EXPANSIONS, readPaymentFacts } from "./sync/paymentFacts.ts";
import { applyAnswer, syncPayment } from "./sync/syncPayment.ts";

export interface ChargedPayment {
  readonly row: PaymentRow;
  /** Not null when the bank wants to ask the cardholder. */
  readonly clientSecret: string | null;
}

/**
 * Asks Stripe for the money of a payment that is written down, under the payment's own id as the key. A refused card is
 * an outcome, and the payment says so; it is not thrown.
 * @throws TollgateError UNAVAILABLE: then nobody knows yet, and the same payment may be charged again
 */
export async function chargePayment(
  ctx: PaymentsContext,
  row: PaymentRow,
  options: { readonly isOffSession: boolean },
): Promise<ChargedPayment> {
  const { client } = requireStripe(ctx);
  const customer = await findStripeCustomer(ctx, row.billingAccountId);
  if (customer === undefined || row.cardId === null)
    return { row: await failPayment(ctx, row, "card_missing"), clientSecret: null };
  const card = row.cardId;
  try {
    const intent = await client.paymentIntents.create(
      {
        amount: row.amountCents,
        currency: row.currency,
        customer,
        payment_method: card,
        allowed_payment_method_types: ["card"],
        confirm: true,
        off_session: options.isOffSession,
        description: `Credit, payment ${row.id}`,
        metadata: metadataOf(row),
        expand: PAYMENT_EXPANSIONS,
      },
      { idempotencyKey: row.id },
    );
    const facts = readPaymentFacts(intent);
    return { row: await applyAnswer(ctx, row, facts), clientSecret: secretOf(facts) };
  } catch (error) {
    const refused = error instanceof Stripe.errors.StripeCardError ? error.payment_intent?.id : undefined;
    if (refused !== undefined) {
      const failed = await syncPayment(ctx, refused);
      if (failed !== undefined) return { row: failed, clientSecret: null };
    }
    if (isHopeless(error)) return { row: await failPayment(ctx, row, "card_missing"), clientSecret: null };
    return askStripe(() => Promise.reject(error));
  }
}

/** The card or the customer is gone: no other try will be better. */
const isHopeless = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeInvalidRequestError && error.statusCode !== 409 && error.statusCode !== 429;

const secretOf = (facts: { readonly status: string; readonly client_secret: string | null }): string | null =>
  facts.status === "requires_action" ? facts.client_secret : null;

export const metadataOf = (row: PaymentRow): Record<string, string> => ({
  [METADATA.billingAccountId]: row.billingAccountId,
  [METADATA.paymentId]: row.id,
  [METADATA.kind]: row.kind,
});

/** A payment that Stripe would not even begin. */
export async function failPayment(ctx: PaymentsContext, row: PaymentRow, code: string): Promise<PaymentRow> {
  const { payments } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const [current] = await ctx.db.select().from(payments).where(eq(payments.id, row.id)).for("update");
      if (current === undefined) throw new Error(`The payment ${row.id} is gone`);
      if (current.status !== "pending") return current;
      const [failed] = await ctx.db
        .update(payments)
        .set({
          status: "failed",
          failureCode: code,
          failureMessage: "The payment provider refused to begin the payment",
          revision: sql`${payments.revision} + 1`,
          updatedAt: ctx.clock.now(),
        })
        .where(eq(payments.id, row.id))
        .returning();
      if (failed === undefined) throw new Error(`The payment ${row.id} was not changed`);
      await announceFailure(ctx, failed);
      return failed;
    },
    { isIdempotent: true },
  );
}
