const DAY_MS = 86_400_000;
/** How long after the first refusal, after the second and after the third; the fourth ends it. */
const RETRY_DAYS = [3, 5, 7] as const;
/** Stripe tries by itself, if its account is set so: what became of that is looked at a little later. */
const STRIPE_SLACK_MS = 3_600_000;

/** When to try again after so many refusals; null when that was the last. */
export function planNextAttempt(attempts: number, now: Date, stripeTriesAt: Date | null): Date | null {
  if (stripeTriesAt !== null) return new Date(stripeTriesAt.getTime() + STRIPE_SLACK_MS);
  const days = RETRY_DAYS[attempts - 1];
  return days === undefined ? null : new Date(now.getTime() + days * DAY_MS);
}

/** Whether so many refusals are too many. */
export const isExhausted = (attempts: number): boolean => attempts > RETRY_DAYS.length;
