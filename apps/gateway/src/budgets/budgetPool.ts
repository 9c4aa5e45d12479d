import type { Clock, Logger } from "@tollgate/kernel";
import { chunksOf, unavailable } from "@tollgate/kernel";
import type { BudgetKind, LeaseRequest, LeaseResult } from "@tollgate/services/budgets";
import { BudgetSlice } from "./budgetSlice.ts";

/**
 * The slices of budgets that this gateway holds, and the asking for more. One request is under way per budget; whoever
 * comes meanwhile waits for the next one, and all that wait are asked for together. Slices follow the recent rate, are
 * refilled before they run out, and go back when they lie idle or when another gateway needs them.
 */
export interface BudgetPorts {
  lease(holderId: string, requests: readonly LeaseRequest[]): Promise<LeaseResult[]>;
  /** Asks other gateways to give back what they hold unused. */
  recall(holderId: string, budgetIds: readonly string[]): void;
  /** Tells others that something was given back. */
  announceReturned(holderId: string, budgetIds: readonly string[]): void;
}

export interface BudgetPoolOptions {
  readonly ports: BudgetPorts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sliceSeconds: number;
  /** The run under whose name budgets are held now, or undefined while there is none that may be used. */
  readonly holderId: () => string | undefined;
  /** The database says that the run's leases were given up. */
  readonly onHolderClosed: () => void;
}

const EXHAUSTED_MS = 1_000;
const RECALL_WAIT_MS = 150;
const IDLE_MS = 5_000;
const IDLE_SCARCE_MS = 300;
const TICK_MS = 250;
/** A call waits no longer than this for its budgets: a database that hangs must not hang the callers. */
const WAIT_MAX_MS = 3_000;
const BUDGETS_PER_REQUEST = 100;
const SLICES_PER_TICK = 5_000;
const FORGET_EVERY_MS = 86_400_000;
/** Longer than any period of a budget that has one, and its calls. */
const PAST_MS = 40 * 86_400_000;

export class BudgetPool {
  readonly #options: BudgetPoolOptions;
  readonly #slices = new Map<string, BudgetSlice>();
  readonly #byAccount = new Map<string, BudgetSlice[]>();
  readonly #needy = new Set<BudgetSlice>();
  /** Slices that someone waits for: looked at in every tick. */
  readonly #waited = new Set<BudgetSlice>();
  /** Slices that hold something or owe a return: looked at a few thousand a tick, however many there are. */
  readonly #holding = new Set<BudgetSlice>();
  #sweep: Iterator<BudgetSlice> | undefined;
  readonly #recalling = new Map<BudgetSlice, NodeJS.Timeout>();
  readonly #timer: NodeJS.Timeout;
  readonly #askNow = (): void => this.#ask();
  /** The run under whose name everything in the slices is held. Unlike the one that may spend, it outlives an outage. */
  #heldBy: string | undefined;
  #isScheduled = false;
  #asking = 0;
  #forgotAtMs: number;

  constructor(options: BudgetPoolOptions) {
    this.#options = options;
    this.#forgotAtMs = options.clock.nowMs();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** How many budgets are known. */
  get size(): number {
    return this.#slices.size;
  }

  /** Whether what is held may be spent: the run that holds it is known to be alive. */
  get isUsable(): boolean {
    return this.#options.holderId() !== undefined;
  }

  /**
   * The slice of a budget; the same object every time. What is known and held under another limit than is believed now
   * counts no longer: it goes back, and the next call asks.
   */
  slice(id: string, kind: BudgetKind, billingAccountId: string, believedLimit?: bigint): BudgetSlice {
    const existing = this.#slices.get(id);
    if (existing !== undefined) {
      if (existing.believedLimit !== believedLimit) {
        existing.believedLimit = believedLimit;
        existing.exhaustedUntilMs = 0;
        if (existing.remaining > 0) this.#return(existing);
      }
      return existing;
    }
    const slice = new BudgetSlice(id, kind, billingAccountId, believedLimit);
    slice.madeAtMs = this.#options.clock.nowMs();
    this.#slices.set(id, slice);
    const ofAccount = this.#byAccount.get(billingAccountId);
    if (ofAccount === undefined) this.#byAccount.set(billingAccountId, [slice]);
    else ofAccount.push(slice);
    return slice;
  }

  /** Spends from a slice that has enough; refills it in the background when it runs low. */
  take(slice: BudgetSlice, amount: number, nowMs: number): void {
    slice.remaining -= amount;
    slice.taken += amount;
    slice.takenAmount = amount;
    slice.takenAtMs = nowMs;
    if (slice.remaining < slice.refillMark && !slice.isAsking) this.#need(slice);
  }

  /** Takes back a part of what a call reserved and did not need. */
  giveBack(slice: BudgetSlice, amount: number, holderId: string): void {
    if (holderId !== this.#heldBy) return;
    slice.remaining += amount;
    slice.taken -= amount;
    this.#holding.add(slice);
  }

  /** Resolves when the budget was asked on behalf of this call: then there is enough, or the slice is exhausted. */
  wait(slice: BudgetSlice, amount: number): Promise<void> {
    return new Promise((resolve, reject) => {
      slice.waiters.push({ amount, sinceMs: this.#options.clock.nowMs(), resolve, reject });
      this.#waited.add(slice);
      if (!slice.isAsking && !this.#recalling.has(slice)) this.#need(slice);
    });
  }

  /** New credit, or a new limit: what is known to be exhausted may not be any more. Without an account, of all. */
  clearExhausted(billingAccountId?: string): void {
    const slices = billingAccountId === undefined ? this.#slices.values() : this.#byAccount.get(billingAccountId);
    for (const slice of slices ?? []) slice.exhaustedUntilMs = 0;
  }

  /** Another gateway needs what we hold unused. */
  onRecall(budgetIds: readonly string[]): void {
    for (const id of budgetIds) {
      const slice = this.#slices.get(id);
      if (slice !== undefined && slice.remaining > 0 && !slice.canServeWaiter()) this.#return(slice);
    }
  }

  /** Another gateway gave something back: whoever waits for it asks again at once. */
  onReturned(budgetIds: readonly string[]): void {
    for (const id of budgetIds) {
      const slice = this.#slices.get(id);
      if (slice === undefined) continue;
      slice.exhaustedUntilMs = 0;
      const timer = this.#recalling.get(slice);
      if (timer === undefined) continue;
      clearTimeout(timer);
      this.#recalling.delete(slice);
      this.#need(slice);
    }
  }

  /** Forgets what was held: the leases of this run were given up. */
  forgetAll(): void {
    this.#heldBy = undefined;
    for (const slice of this.#slices.values()) slice.forget();
  }

  /** Gives everything back that is not spent; for a shutdown. */
  async drain(): Promise<void> {
    clearInterval(this.#timer);
    for (const slice of this.#slices.values()) if (slice.remaining > 0) this.#return(slice);
    while (this.#asking > 0 || this.#isScheduled) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  #return(slice: BudgetSlice): void {
    this.#putBack(slice);
    if (!slice.isAsking && !this.#recalling.has(slice)) this.#need(slice);
  }

  /** What is not spent goes back with the next request. */
  #putBack(slice: BudgetSlice): void {
    this.#handBack(slice);
    slice.taken = 0;
  }

  #handBack(slice: BudgetSlice): void {
    if (slice.remaining === 0) return;
    slice.returnedTotal += BigInt(slice.remaining);
    slice.remaining = 0;
    slice.refillMark = 0;
    slice.hasUnsentReturn = true;
    this.#holding.add(slice);
  }

  #need(slice: BudgetSlice): void {
    this.#needy.add(slice);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#askNow);
  }

  #ask(): void {
    this.#isScheduled = false;
    const ready = [...this.#needy].filter((slice) => !slice.isAsking);
    for (const some of chunksOf(ready, BUDGETS_PER_REQUEST)) void this.#askSome(some);
  }

  async #askSome(slices: readonly BudgetSlice[]): Promise<void> {
    const holderId = this.#options.holderId();
    const nowMs = this.#options.clock.nowMs();
    for (const slice of slices) this.#needy.delete(slice);
    if (holderId === undefined) {
      for (const slice of slices)
        rejectWaiters(slice, unavailable("Budgets cannot be asked for", { reason: "budgets_unavailable" }));
      return;
    }
    const asked = slices.map((slice) => {
      slice.isAsking = true;
      const waiters = slice.waiters.length;
      const request = this.#requestFor(slice, nowMs);
      const returns = slice.hasUnsentReturn;
      slice.hasUnsentReturn = false;
      return { slice, waiters, returns, request };
    });
    this.#asking += 1;
    try {
      const results = await this.#options.ports.lease(
        holderId,
        asked.map(({ request }) => request),
      );
      const byId = new Map(results.map((result) => [result.budgetId, result]));
      const isSameHolder = holderId === this.#options.holderId();
      if (isSameHolder) this.#heldBy = holderId;
      for (const { slice, waiters, request } of asked) {
        slice.isAsking = false;
        const result = byId.get(slice.id);
        if (isSameHolder && result !== undefined) this.#apply(slice, result);
        if (isSameHolder && request.believedLimit === slice.believedLimit) {
          this.#settle(slice, waiters, result);
        } else {
          // An answer to the run before, or about the limit before, says nothing about what may be had now.
          if (isSameHolder) this.#putBack(slice);
          if (slice.waiters.length > 0 || slice.hasUnsentReturn) this.#need(slice);
        }
      }
      const returned = asked.filter(({ returns }) => returns).map(({ slice }) => slice.id);
      if (returned.length > 0) this.#options.ports.announceReturned(holderId, returned);
    } catch (error) {
      this.#failed(asked, error);
    } finally {
      this.#asking -= 1;
    }
  }

  #requestFor(slice: BudgetSlice, nowMs: number): LeaseRequest {
    let demand = 0;
    let granule = 0;
    for (const { amount } of slice.waiters) {
      demand += amount;
      if (granule === 0 || amount < granule) granule = amount;
    }
    // Too little for whoever waits, it is worth more to the budget: with what is left there it may be enough. What is
    // enough belongs to calls that were woken and not served yet, so it is not counted against those who wait now.
    const isFragment = slice.waiters.length > 0 && slice.remaining < granule;
    if (granule === 0) granule = slice.takenAmount;
    if (isFragment || nowMs >= slice.spendableUntilMs) this.#handBack(slice);
    const elapsedSeconds = Math.max(0.001, (nowMs - slice.askedAtMs) / 1_000);
    const rate = slice.askedAtMs === 0 ? 0 : Math.max(0, slice.taken) / elapsedSeconds;
    const reserve = Math.ceil(rate * this.#options.sliceSeconds) - slice.remaining;
    slice.askedAtMs = nowMs;
    slice.taken = 0;
    return {
      budgetId: slice.id,
      kind: slice.kind,
      billingAccountId: slice.billingAccountId,
      ...(slice.believedLimit === undefined ? {} : { believedLimit: slice.believedLimit }),
      returnedTotal: slice.returnedTotal,
      demand: BigInt(demand),
      granule: BigInt(granule),
      want: BigInt(demand + Math.max(0, reserve)),
    };
  }

  #apply(slice: BudgetSlice, result: LeaseResult): void {
    const granted = Number(result.grantedTotal - slice.grantedTotal);
    slice.grantedTotal = result.grantedTotal;
    slice.remaining += granted;
    if (slice.remaining > 0) this.#holding.add(slice);
    slice.available = Number(result.available);
    slice.spendableUntilMs = result.spendableUntilMs ?? Number.POSITIVE_INFINITY;
    slice.refillMark = slice.isScarce ? 0 : Math.floor(slice.remaining / 2);
  }

  /** Wakes those who were asked for. If there is nothing for them, others may hold some unused: ask those first, once. */
  #settle(slice: BudgetSlice, asked: number, result: LeaseResult | undefined): void {
    const smallest = slice.waiters.slice(0, asked).reduce((least, waiter) => Math.min(least, waiter.amount), Infinity);
    const isEnough = slice.remaining >= smallest;
    if (asked > 0 && !isEnough) {
      if (!slice.wasRecalled && result !== undefined && result.heldByOthers > 0n) {
        this.#recall(slice);
        return;
      }
      slice.exhaustedUntilMs = this.#options.clock.nowMs() + EXHAUSTED_MS;
      slice.exhaustedAmount = smallest;
    }
    slice.wasRecalled = false;
    const waiters = slice.waiters.splice(0, asked);
    for (const waiter of waiters) waiter.resolve();
    if (slice.waiters.length > 0 || slice.hasUnsentReturn) this.#need(slice);
  }

  #recall(slice: BudgetSlice): void {
    const holderId = this.#options.holderId();
    slice.wasRecalled = true;
    // What we have is too little for a call. Together with what others have it may be enough: the last to ask gets it all.
    this.#putBack(slice);
    if (holderId !== undefined) this.#options.ports.recall(holderId, [slice.id]);
    const timer = setTimeout(() => {
      this.#recalling.delete(slice);
      this.#need(slice);
    }, RECALL_WAIT_MS);
    this.#recalling.set(slice, timer);
  }

  #failed(asked: readonly { slice: BudgetSlice }[], error: unknown): void {
    const isClosed = (error as { reason?: unknown }).reason === "holder_closed";
    if (isClosed) this.#options.onHolderClosed();
    else this.#options.logger.warn({ err: error }, "budgets cannot be asked for");
    const failure = unavailable("Budgets cannot be asked for at the moment", {
      reason: "budgets_unavailable",
      cause: error,
    });
    for (const { slice } of asked) {
      slice.isAsking = false;
      // The work may have been done before the answer was lost. Asking again tells, and no slice is forgotten in the lease.
      if (!isClosed) {
        slice.hasUnsentReturn = true;
        this.#holding.add(slice);
      }
      slice.wasRecalled = false;
      rejectWaiters(slice, failure);
    }
  }

  #tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#forgotAtMs >= FORGET_EVERY_MS) {
      this.#forgotAtMs = nowMs;
      this.#forgetPast(nowMs - PAST_MS);
    }
    for (const slice of this.#waited) {
      if (slice.waiters.length > 0) rejectOverdue(slice, nowMs - WAIT_MAX_MS);
      if (slice.waiters.length === 0) this.#waited.delete(slice);
    }
    for (let looked = 0; looked < SLICES_PER_TICK; looked += 1) {
      this.#sweep ??= this.#holding.values();
      const { value: slice, done } = this.#sweep.next();
      if (done === true) {
        this.#sweep = undefined;
        return;
      }
      this.#sweepSlice(slice, nowMs);
    }
  }

  /**
   * Every month and day brings new budgets, and nobody calls on those of the last. A wallet stays: were it made anew, all
   * that this run was ever granted would look like a grant of now.
   */
  #forgetPast(beforeMs: number): void {
    for (const slice of this.#slices.values()) {
      if (slice.kind === "wallet" || Math.max(slice.madeAtMs, slice.takenAtMs, slice.askedAtMs) >= beforeMs) continue;
      if (this.#holding.has(slice) || this.#waited.has(slice) || this.#needy.has(slice) || slice.isAsking) continue;
      this.#slices.delete(slice.id);
      const others = this.#byAccount.get(slice.billingAccountId)?.filter((other) => other !== slice) ?? [];
      if (others.length === 0) this.#byAccount.delete(slice.billingAccountId);
      else this.#byAccount.set(slice.billingAccountId, others);
    }
  }

  /** Sends back what lies idle, and what could not be sent back before. */
  #sweepSlice(slice: BudgetSlice, nowMs: number): void {
    if (slice.isAsking || slice.waiters.length > 0) return;
    if (slice.remaining > 0) {
      if (nowMs - slice.takenAtMs >= (slice.isScarce ? IDLE_SCARCE_MS : IDLE_MS)) this.#return(slice);
    } else if (slice.hasUnsentReturn) {
      this.#need(slice);
    } else {
      this.#holding.delete(slice);
    }
  }
}

function rejectWaiters(slice: BudgetSlice, error: Error): void {
  for (const waiter of slice.waiters.splice(0)) waiter.reject(error);
}

function rejectOverdue(slice: BudgetSlice, beforeMs: number): void {
  const overdue = slice.waiters.filter((waiter) => waiter.sinceMs < beforeMs);
  if (overdue.length === 0) return;
  slice.waiters = slice.waiters.filter((waiter) => waiter.sinceMs >= beforeMs);
  const failure = unavailable("Budgets do not answer", { reason: "budgets_unavailable" });
  for (const waiter of overdue) waiter.reject(failure);
}
