import type { Checkout, createCheckoutInput } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type Stripe from "stripe";
import type { z } from "zod";
import { requireAccountAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import { metadataOf } from "./chargePayment.ts";
import type { PaymentRow } from "./internal.ts";
import { assertCurrency, claimPayment } from "./internal.ts";
import type { PaymentsContext, PaymentsVerb } from "./stripeAccount.ts";
import { keyForOnce, requireStripe } from "./stripeAccount.ts";
import { ensureStripeCustomer, METADATA } from "./stripeCustomer.ts";

type Input = z.output<typeof createCheckoutInput>;

/**
 * A page of Stripe's where somebody pays for credit, or only saves a card. The credit comes when Stripe says that it was
 * paid, and not because a browser came back.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, BAD_REQUEST `foreign_currency`, UNAVAILABLE
 */
export async function createCheckoutSession({ ctx, input }: PaymentsVerb<Input>): Promise<Checkout> {
  await requireAccountAdmin(ctx, input.billingAccountId);
  const { client, currency } = requireStripe(ctx);
  assertCurrency(input.currency, currency);
  const customer = await ensureStripeCustomer(ctx, input.billingAccountId);
  const payment = input.amountCents === undefined ? undefined : await claim(ctx, input, input.amountCents);
  const session = await askStripe(() =>
    client.checkout.sessions.create(
      {
        customer,
        ...returnUrls(ctx, input.returnPath),
        ...(payment === undefined ? savesCard(input, currency.code) : pays(payment, input.saveCard)),
      },
      { idempotencyKey: payment?.id ?? keyForOnce("checkout") },
    ),
  );
  if (session.url === null) throw new Error(`The checkout session ${session.id} has no page`);
  await remember(ctx, input.billingAccountId, payment?.id, session.id);
  return {
    url: session.url,
    sessionId: session.id,
    paymentId: payment?.id ?? null,
    expiresAt: new Date(session.expires_at * 1_000),
  };
}

async function claim(ctx: PaymentsContext, input: Input, amountCents: number): Promise<PaymentRow> {
  const { currency } = requireStripe(ctx);
  const { row } = await claimPayment(ctx, {
    billingAccountId: input.billingAccountId,
    kind: "checkout",
    amountCents,
    currency,
    cardId: null,
    idempotencyKey: newId("payment"),
    action: "payments.createCheckoutSession",
  });
  return row;
}

type SessionParams = Stripe.Checkout.SessionCreateParams;

function pays(payment: PaymentRow, isCardSaved: boolean): SessionParams {
  const metadata = metadataOf(payment);
  return {
    mode: "payment",
    line_items: [
      {
        price_data: { currency: payment.currency, unit_amount: payment.amountCents, product_data: { name: "Credit" } },
        quantity: 1,
      },
    ],
    metadata,
    payment_intent_data: { metadata, ...(isCardSaved ? { setup_future_usage: "off_session" } : {}) },
  };
}

function savesCard({ billingAccountId }: Input, currency: string): SessionParams {
  const metadata = { [METADATA.billingAccountId]: billingAccountId };
  return { mode: "setup", currency, metadata, setup_intent_data: { metadata } };
}

/** Back to the dashboard and nowhere else: an address of the caller's choice would lead people astray. */
function returnUrls(ctx: PaymentsContext, path: string): { success_url: string; cancel_url: string } {
  const page = `${ctx.settings.publicWebUrl}${path}`;
  return { success_url: `${page}?checkout={CHECKOUT_SESSION_ID}`, cancel_url: `${page}?checkout=cancelled` };
}

async function remember(
  ctx: PaymentsContext,
  billingAccountId: string,
  paymentId: string | undefined,
  sessionId: string,
): Promise<void> {
  const { payments } = schema;
  await withTransaction(
    ctx,
    async (ctx) => {
      if (paymentId !== undefined) {
        await ctx.db.update(payments).set({ stripeCheckoutSessionId: sessionId }).where(eq(payments.id, paymentId));
      }
      await writeAudit(ctx, {
        action: "payments.createCheckoutSession",
        subject: billingAccountId,
        after: { sessionId, paymentId: paymentId ?? null },
      });
    },
    { isIdempotent: true },
  );
}
