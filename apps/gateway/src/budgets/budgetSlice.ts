import type { BudgetKind } from "@tollgate/services/budgets";

/** Someone who waits for a slice to grow. */
export interface SliceWaiter {
  readonly amount: number;
  readonly sinceMs: number;
  resolve(): void;
  reject(error: Error): void;
}

const PLENTY_FACTOR = 4;

/**
 * What this gateway may spend of one budget without asking anyone. Amounts are whole numbers (micros or calls) below
 * 2^53: a slice is a few seconds' worth, and numbers are several times faster here than bigints.
 */
export class BudgetSlice {
  readonly id: string;
  readonly kind: BudgetKind;
  readonly billingAccountId: string;
  /** The limit of a quota or cap as this gateway knows it. */
  believedLimit: bigint | undefined;

  remaining = 0;
  /** What was left for everyone when the budget was last asked. */
  available = 0;
  /** Below this, more is fetched before it runs out. */
  refillMark = 0;
  /** Taken since the budget was last asked: the recent rate. */
  taken = 0;
  /** The last amount that was taken: what is kept in reserve is a multiple of it. */
  takenAmount = 0;
  madeAtMs = 0;
  askedAtMs = 0;
  takenAtMs = 0;
  /** Until then the budget is known not to cover {@link exhaustedAmount}. */
  exhaustedUntilMs = 0;
  exhaustedAmount = 0;
  /** Other gateways were asked to give back what they hold, in this shortage. */
  wasRecalled = false;

  /** From then on what is held must not be spent: the credit behind it may have expired. */
  spendableUntilMs = Number.POSITIVE_INFINITY;

  /** Running totals of the lease, as the database counts them. */
  grantedTotal = 0n;
  returnedTotal = 0n;
  hasUnsentReturn = false;
  isAsking = false;
  waiters: SliceWaiter[] = [];

  #drawAmount = -1;
  #drawText = "";

  constructor(id: string, kind: BudgetKind, billingAccountId: string, believedLimit?: bigint) {
    this.id = id;
    this.kind = kind;
    this.billingAccountId = billingAccountId;
    this.believedLimit = believedLimit;
  }

  /** Whether what is held covers an amount now. */
  covers(amount: number, nowMs: number): boolean {
    return this.remaining >= amount && nowMs < this.spendableUntilMs;
  }

  /** `id=amount`, as a call record has it. Most calls of an endpoint cost the same, so the text is kept. */
  drawText(amount: number): string {
    if (amount !== this.#drawAmount) {
      this.#drawAmount = amount;
      this.#drawText = `${this.id}=${amount}`;
    }
    return this.#drawText;
  }

  /** Whether the budget was found, a moment ago, not to cover this amount. A smaller one may still fit. */
  isExhausted(amount: number, nowMs: number): boolean {
    return nowMs < this.exhaustedUntilMs && amount >= this.exhaustedAmount;
  }

  /** Little is left for everyone compared with what is held here: no reserves, and what lies idle goes back soon. */
  get isScarce(): boolean {
    return this.available <= PLENTY_FACTOR * this.remaining;
  }

  /** Whether what is held is enough for someone who waits. */
  canServeWaiter(): boolean {
    return this.waiters.some((waiter) => waiter.amount <= this.remaining);
  }

  /** The lease was given up by others: what was held is no longer ours to spend. */
  forget(): void {
    this.remaining = 0;
    this.refillMark = 0;
    this.grantedTotal = 0n;
    this.returnedTotal = 0n;
    this.hasUnsentReturn = false;
  }
}
