import type { differenceKind } from "@tollgate/contracts";
import type { z } from "zod";
import type { PaymentRow } from "../internal.ts";

export type DifferenceKind = z.infer<typeof differenceKind>;

export interface Difference {
  readonly kind: DifferenceKind;
  readonly paymentId: string | null;
  readonly stripeId: string | null;
  readonly here: string | null;
  readonly there: string | null;
}

/** What a payment intent is at Stripe, as far as it is compared. */
export interface IntentThere {
  readonly id: string;
  readonly paymentId: string;
  readonly status: string;
  readonly amountReceived: number;
  readonly amountRefunded: number;
  readonly currency: string;
}

export type PaymentHere = Pick<
  PaymentRow,
  "id" | "status" | "amountCents" | "currency" | "refundedCents" | "stripePaymentIntentId" | "creditTransactionId"
>;

/** Where a payment here and its intent there do not say the same. A payment that never succeeded on either side has nothing to compare. */
export function comparePayment(here: PaymentHere | undefined, there: IntentThere | undefined): Difference[] {
  const about = {
    paymentId: here?.id ?? there?.paymentId ?? null,
    stripeId: there?.id ?? here?.stripePaymentIntentId ?? null,
  };
  const isPaidHere = here?.status === "succeeded";
  const isPaidThere = there?.status === "succeeded";
  if (there !== undefined && here === undefined) {
    return isPaidThere ? [{ ...about, kind: "missing_here", here: null, there: String(there.amountReceived) }] : [];
  }
  if (here !== undefined && there === undefined) {
    return isPaidHere ? [{ ...about, kind: "missing_there", here: String(here.amountCents), there: null }] : [];
  }
  if (here === undefined || there === undefined) return [];
  if (isPaidHere !== isPaidThere) return [{ ...about, kind: "status", here: here.status, there: there.status }];
  if (!isPaidHere) return [];
  const differences: Difference[] = [];
  const compare = (kind: DifferenceKind, ours: string | null, theirs: string): void => {
    if (ours !== theirs) differences.push({ ...about, kind, here: ours, there: theirs });
  };
  compare("currency", here.currency, there.currency);
  compare("amount", String(here.amountCents), String(there.amountReceived));
  compare("refunds", String(here.refundedCents), String(there.amountRefunded));
  if (here.creditTransactionId === null)
    differences.push({ ...about, kind: "not_credited", here: null, there: there.status });
  return differences;
}
