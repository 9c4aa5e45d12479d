import { billingInvoicePaymentFailed } from "@tollgate/contracts";
import { appendEvent, schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { isExhausted, planNextAttempt } from "../subscriptions/planDunning.ts";
import type { InvoiceRow } from "./internal.ts";
import { mailPaymentFailed } from "./mailPaymentFailed.ts";

export interface CollectionFailure {
  /** Refusals so far, this one among them: what was noted already is not noted again. */
  readonly attempts: number;
  readonly code: string;
  readonly message: string;
  /** When Stripe tries again by itself; null when it does not. */
  readonly stripeTriesAt: Date | null;
}

/** Notes that an invoice could not be collected, and when to try again. The row is locked by the caller's transaction. */
export async function recordFailure(
  ctx: ServiceContext,
  row: InvoiceRow,
  failure: CollectionFailure,
): Promise<InvoiceRow> {
  if (row.status !== "final" || failure.attempts <= row.attempts) return row;
  const now = ctx.clock.now();
  const retryAt = planNextAttempt(failure.attempts, now, failure.stripeTriesAt);
  const change = {
    attempts: failure.attempts,
    failureCode: failure.code,
    // After the last one the sweep finds it once more, and lets the tier lapse.
    nextAttemptAt: isExhausted(failure.attempts) ? now : retryAt,
    updatedAt: now,
  };
  await ctx.db.update(schema.invoices).set(change).where(eq(schema.invoices.id, row.id));
  await appendEvent(ctx, billingInvoicePaymentFailed, {
    billingAccountId: row.billingAccountId,
    invoiceId: row.id,
    kind: row.kind,
    number: row.number,
    total: row.totalMicros.toString(),
    due: row.dueMicros.toString(),
    failureCode: failure.code,
    attempts: failure.attempts,
    nextAttemptAt: retryAt?.toISOString() ?? null,
  });
  await mailPaymentFailed(ctx, row, { ...failure, nextAttemptAt: retryAt });
  return { ...row, ...change };
}
