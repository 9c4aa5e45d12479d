import { createHash } from "node:crypto";
import type { Payment, PaymentKind } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { badRequest, conflict, newId } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { Currency } from "./currency.ts";
import { microsOf } from "./currency.ts";
import type { PaymentsContext } from "./stripeAccount.ts";

const { payments } = schema;
export type PaymentRow = typeof payments.$inferSelect;

export function toPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    billingAccountId: row.billingAccountId,
    kind: row.kind,
    status: row.status,
    amountCents: row.amountCents,
    currency: row.currency,
    amountMicros: row.amountMicros,
    refundedCents: row.refundedCents,
    disputeStatus: row.disputeStatus,
    failureCode: row.failureCode,
    failureMessage: row.failureMessage,
    cardId: row.cardId,
    receiptUrl: row.receiptUrl,
    createdAt: row.createdAt,
    succeededAt: row.succeededAt,
  };
}

export interface PaymentRequest {
  readonly billingAccountId: string;
  readonly kind: PaymentKind;
  readonly amountCents: number;
  readonly currency: Currency;
  readonly cardId: string | null;
  /** The invoice that it pays. */
  readonly invoiceId?: string;
  /** Unique for the account. */
  readonly idempotencyKey: string;
  /** The procedure that asks. */
  readonly action: string;
}

/**
 * Writes a payment down before Stripe is asked for it, or finds the one that the same request made before. Its id is the
 * key under which Stripe is asked: whatever dies in between, the money moves once.
 * @throws TollgateError CONFLICT `idempotency_key_reused`
 */
export async function claimPayment(
  ctx: PaymentsContext,
  request: PaymentRequest,
): Promise<{ readonly row: PaymentRow; readonly isNew: boolean }> {
  return withTransaction(ctx, (ctx) => claimInTransaction(ctx, request), { isIdempotent: true });
}

export async function claimInTransaction(
  ctx: PaymentsContext,
  request: PaymentRequest,
): Promise<{ readonly row: PaymentRow; readonly isNew: boolean }> {
  const { action, currency, ...values } = request;
  const requestHash = hashOf([request.kind, request.amountCents, currency.code, request.cardId]);
  const now = ctx.clock.now();
  const [inserted] = await ctx.db
    .insert(payments)
    .values({
      ...values,
      id: newId("payment"),
      status: "pending",
      requestHash,
      currency: currency.code,
      amountMicros: microsOf(currency, request.amountCents),
      createdAt: now,
      updatedAt: now,
    })
    // Whatever it conflicts with: one that this transaction cannot see yet, of the same invoice for example, makes it run again.
    .onConflictDoNothing()
    .returning();
  if (inserted !== undefined) {
    await writeAudit(ctx, {
      action,
      subject: request.billingAccountId,
      after: {
        paymentId: inserted.id,
        amountCents: request.amountCents,
        currency: currency.code,
        cardId: request.cardId,
      },
    });
    return { row: inserted, isNew: true };
  }
  const [found] = await ctx.db
    .select()
    .from(payments)
    .where(
      and(eq(payments.billingAccountId, request.billingAccountId), eq(payments.idempotencyKey, request.idempotencyKey)),
    );
  if (found === undefined) throw new Error("A payment that stood in the way cannot be found");
  if (found.requestHash !== requestHash) {
    throw conflict("This idempotency key was used for another payment", {
      reason: "idempotency_key_reused",
      issues: [{ path: "idempotencyKey", message: "Was used for another payment" }],
    });
  }
  return { row: found, isNew: false };
}

const hashOf = (parts: readonly unknown[]): string => createHash("sha256").update(JSON.stringify(parts)).digest("hex");

/** @throws TollgateError BAD_REQUEST `foreign_currency` */
export function assertCurrency(given: string | undefined, currency: Currency): void {
  if (given === undefined || given === currency.code) return;
  const message = `Payments here are in ${currency.code.toUpperCase()}`;
  throw badRequest(message, { reason: "foreign_currency", issues: [{ path: "currency", message }] });
}
