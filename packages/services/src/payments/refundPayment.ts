import { createHash } from "node:crypto";
import type { Payment, refundInput } from "@tollgate/contracts";
import { withTransaction, writeAudit } from "@tollgate/db";
import { TollgateError } from "@tollgate/kernel";
import type { z } from "zod";
import { requireAdmin } from "../permissions.ts";
import { askStripe } from "./askStripe.ts";
import { requirePayment } from "./getPayment.ts";
import { toPayment } from "./internal.ts";
import type { PaymentsVerb } from "./stripeAccount.ts";
import { requireStripe } from "./stripeAccount.ts";
import { METADATA } from "./stripeCustomer.ts";
import { syncRefunds } from "./sync/syncRefunds.ts";

/**
 * An operator gives money back, all of a payment or a part. The credit goes with it: what is left of the payment's own
 * grant first, and what was spent already becomes a debt.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND; UNPROCESSABLE `not_refundable`; BAD_REQUEST for more than is
 * left; CONFLICT `idempotency_key_reused`; UNAVAILABLE
 */
export async function refundPayment({ ctx, input }: PaymentsVerb<z.output<typeof refundInput>>): Promise<Payment> {
  requireAdmin(ctx);
  const { client } = requireStripe(ctx);
  const payment = await requirePayment(ctx, input.paymentId);
  const intentId = payment.stripePaymentIntentId;
  if (payment.status !== "succeeded" || intentId === null) {
    throw new TollgateError("UNPROCESSABLE", "Only a payment that has succeeded can be refunded", {
      reason: "not_refundable",
    });
  }
  const { amountCents, reason } = input;
  try {
    await askStripe(() =>
      client.refunds.create(
        {
          payment_intent: intentId,
          metadata: { [METADATA.paymentId]: payment.id },
          ...(amountCents === undefined ? {} : { amount: amountCents }),
          ...(reason === undefined ? {} : { reason }),
        },
        { idempotencyKey: stripeKey(payment.id, input.idempotencyKey) },
      ),
    );
  } catch (error) {
    throw notRefundable(error);
  }
  const refunded = await syncRefunds(ctx, intentId);
  if (refunded === undefined) throw new Error(`The payment ${payment.id} is not at Stripe`);
  await withTransaction(ctx, (ctx) =>
    writeAudit(ctx, {
      action: "payments.refund",
      subject: payment.billingAccountId,
      after: { paymentId: payment.id, amountCents: amountCents ?? null, refundedCents: refunded.refundedCents },
    }),
  );
  return toPayment(refunded);
}

/** It travels in a header, which takes no more than ASCII, and callers may send any text. */
function stripeKey(paymentId: string, idempotencyKey: string): string {
  return `refund:${paymentId}:${createHash("sha256").update(idempotencyKey).digest("hex")}`;
}

/** Stripe says why a charge cannot be given back; the caller is told in the same words. */
function notRefundable(error: unknown): unknown {
  const { code, statusCode, message } = error as { code?: unknown; statusCode?: unknown; message?: unknown };
  if (statusCode !== 400 || typeof code !== "string" || typeof message !== "string") {
    const isAmount = statusCode === 400 && (error as { param?: unknown }).param === "amount";
    if (!isAmount) return error;
    return new TollgateError("BAD_REQUEST", "More than is left of the payment", {
      reason: "refund_too_large",
      issues: [{ path: "amountCents", message: "Must be at most what is left of the payment" }],
    });
  }
  return new TollgateError("UNPROCESSABLE", message, { reason: code });
}
