import { processStripeEventJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, inArray, isNull, lte } from "drizzle-orm";
import { requireAdminOrService } from "../../permissions.ts";
import { failPayment } from "../chargePayment.ts";
import type { PaymentRow } from "../internal.ts";
import { findAtStripe } from "../reconcile/findAtStripe.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { syncCheckout } from "../sync/syncCheckout.ts";
import { syncPayment } from "../sync/syncPayment.ts";

const { payments, stripeEvents } = schema;
const MINUTE_MS = 60_000;
/** An event whose job is still to come is not ordered again. */
const EVENT_AGE_MS = 2 * MINUTE_MS;
/** A payment that a request is still about is left to it. */
const PAYMENT_AGE_MS = 10 * MINUTE_MS;
/** Nobody begins a payment so late under its old key: Stripe keeps keys for a day. */
const ABANDONED_MS = 60 * MINUTE_MS;
const ROWS_MAX = 200;

/**
 * What was begun and not finished: events whose job has gone are ordered again, and Stripe is asked about payments that
 * nobody has heard of again, so that no webhook is needed for money to arrive.
 * @returns how many of each
 */
export async function sweepPayments({
  ctx,
}: {
  readonly ctx: PaymentsContext;
}): Promise<{ readonly events: number; readonly payments: number }> {
  requireAdminOrService(ctx);
  if (ctx.stripe === undefined) return { events: 0, payments: 0 };
  const events = await orderEvents(ctx);
  const open = await ctx.db
    .select()
    .from(payments)
    .where(
      and(
        inArray(payments.status, ["pending", "requires_action"]),
        lte(payments.createdAt, new Date(ctx.clock.nowMs() - PAYMENT_AGE_MS)),
        // One that was looked at lately is not looked at again so soon.
        lte(payments.updatedAt, new Date(ctx.clock.nowMs() - PAYMENT_AGE_MS)),
      ),
    )
    .orderBy(asc(payments.updatedAt))
    .limit(ROWS_MAX);
  for (const payment of open) await followAlone(ctx, payment);
  return { events, payments: open.length };
}

async function orderEvents(ctx: PaymentsContext): Promise<number> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const waiting = await ctx.db
        .select({ id: stripeEvents.id })
        .from(stripeEvents)
        .where(
          and(
            isNull(stripeEvents.processedAt),
            lte(stripeEvents.receivedAt, new Date(ctx.clock.nowMs() - EVENT_AGE_MS)),
          ),
        )
        .orderBy(asc(stripeEvents.receivedAt))
        .limit(ROWS_MAX);
      for (const { id } of waiting) await appendJob(ctx, processStripeEventJob, { eventId: id });
      return waiting.length;
    },
    { isIdempotent: true },
  );
}

/** One that cannot be followed is nobody else's delay: it is looked at again when its turn comes. */
async function followAlone(ctx: PaymentsContext, payment: PaymentRow): Promise<void> {
  try {
    await followOpen(ctx, payment);
  } catch (error) {
    ctx.logger.error({ err: error, paymentId: payment.id }, "a payment cannot be followed");
  }
  const touched = { updatedAt: ctx.clock.now() };
  await withTransaction(ctx, (ctx) => ctx.db.update(payments).set(touched).where(eq(payments.id, payment.id)), {
    isIdempotent: true,
  });
}

async function followOpen(ctx: PaymentsContext, payment: PaymentRow): Promise<void> {
  if (payment.stripePaymentIntentId !== null) {
    await syncPayment(ctx, payment.stripePaymentIntentId);
  } else if (payment.stripeCheckoutSessionId !== null) {
    await syncCheckout(ctx, payment.stripeCheckoutSessionId);
  } else {
    const intentId = await findAtStripe(ctx, payment);
    if (intentId !== undefined) await syncPayment(ctx, intentId);
    else if (payment.createdAt.getTime() <= ctx.clock.nowMs() - ABANDONED_MS) {
      await failPayment(ctx, payment, "abandoned");
    }
  }
}
