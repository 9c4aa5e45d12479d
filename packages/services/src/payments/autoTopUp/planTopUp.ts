import type { PaymentStatus } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";

const HOUR_MS = 3_600_000;
/** How long after the first refusal, and after the second; the third ends it. */
const BACKOFF_MS = [HOUR_MS, 6 * HOUR_MS] as const;
const FAILURES_MAX = 3;

export interface TopUpFacts {
  readonly isOn: boolean;
  readonly thresholdMicros: Micros;
  readonly amountCents: number;
  readonly maxPerMonthCents: number;
  readonly nextAttemptAt: Date;
  /** What new calls may still spend. */
  readonly availableMicros: Micros;
  /** A payment is under way. */
  readonly isUnderWay: boolean;
  /** Automatic payments of this calendar month (UTC) that went through or are under way. */
  readonly spentThisMonthCents: number;
}

export type TopUpRefusal = "off" | "enough_credit" | "under_way" | "waiting" | "month_is_full";

/** Why an account is not charged now; undefined when it is to be. */
export function refuseTopUp(facts: TopUpFacts, now: Date): TopUpRefusal | undefined {
  if (!facts.isOn) return "off";
  if (facts.isUnderWay) return "under_way";
  if (facts.availableMicros >= facts.thresholdMicros) return "enough_credit";
  if (facts.nextAttemptAt > now) return "waiting";
  if (facts.spentThisMonthCents + facts.amountCents > facts.maxPerMonthCents) return "month_is_full";
  return undefined;
}

export interface AfterTopUp {
  readonly failures: number;
  readonly isOn: boolean;
  readonly isTurnedOff: boolean;
  readonly nextAttemptAt: Date;
}

/** What is to be remembered after a payment: a success forgets the refusals, the third refusal in a row turns it off. */
export function planAfterTopUp(
  before: { readonly failures: number; readonly isOn: boolean },
  status: PaymentStatus,
  now: Date,
): AfterTopUp {
  if (status === "succeeded") return { failures: 0, isOn: before.isOn, isTurnedOff: false, nextAttemptAt: now };
  const failures = before.failures + 1;
  const isTurnedOff = before.isOn && failures >= FAILURES_MAX;
  const waitMs = BACKOFF_MS[failures - 1] ?? 24 * HOUR_MS;
  return {
    failures,
    isOn: before.isOn && !isTurnedOff,
    isTurnedOff,
    nextAttemptAt: new Date(now.getTime() + waitMs),
  };
}
