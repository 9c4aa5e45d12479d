import type { PaymentStatus } from "@tollgate/contracts";
import type { PaymentRow } from "../internal.ts";
import type { PaymentFacts } from "./paymentFacts.ts";
import { statusOf } from "./paymentFacts.ts";

/** What is to be done about what Stripe says of a payment. */
export interface PaymentPlan {
  readonly status: PaymentStatus;
  /** It has just succeeded: the money is credited. */
  readonly isCredited: boolean;
  /** It has just failed: that is announced. */
  readonly isFailed: boolean;
}

/**
 * Decides from what is known and what Stripe says now. What succeeded stays so; everything else may still become
 * something else.
 * @throws Error for money that is not what was asked for: nobody may guess what it is worth
 */
export function planPayment(
  row: Pick<PaymentRow, "id" | "status" | "amountCents" | "currency">,
  facts: PaymentFacts,
): PaymentPlan {
  if (row.status === "succeeded") return { status: "succeeded", isCredited: false, isFailed: false };
  const status = statusOf(facts);
  if (status === "succeeded") {
    if (facts.currency !== row.currency) {
      throw new Error(`foreign_currency: ${row.id} was paid in ${facts.currency} and is in ${row.currency}`);
    }
    if (facts.amount_received !== row.amountCents) {
      throw new Error(`amount_mismatch: ${row.id} is ${row.amountCents} and ${facts.amount_received} was received`);
    }
  }
  return { status, isCredited: status === "succeeded", isFailed: status === "failed" && row.status !== "failed" };
}
