/**
 * How much of a budget a gateway gets, decided from facts alone.
 *
 * While there is plenty, a gateway gets what it wants: a few seconds' worth, so that its next calls need no round trip.
 * As the budget runs low, what it gets beyond the calls that are waiting shrinks with what is left, down to nothing: then
 * a gateway gets exactly the calls it has waiting, and no credit lies idle in one gateway while another refuses.
 */
export interface BudgetFacts {
  readonly limit: bigint;
  readonly overdraft: bigint;
  readonly used: bigint;
  readonly held: bigint;
}

export interface GrantRequest {
  /** The sum of the calls that are waiting. */
  readonly demand: bigint;
  /** The smallest of them, or of those before them: what is left over below this is of no use to this gateway. */
  readonly granule: bigint;
  /** What the gateway would like to hold in all, a few seconds' worth of its recent rate. */
  readonly want: bigint;
}

/** A gateway's reserve is at most this share of what is left. */
const RESERVE_SHARE = 16n;

export const availableOf = (budget: BudgetFacts): bigint => budget.limit + budget.overdraft - budget.used - budget.held;

/** The amount to grant: never more than what is available, never negative. */
export function computeGrant(budget: BudgetFacts, request: GrantRequest): bigint {
  const available = availableOf(budget);
  if (available <= 0n) return 0n;
  if (request.demand > available) return wholeCalls(available, request.granule);
  const reserve = min(min(request.want - request.demand, available / RESERVE_SHARE), available - request.demand);
  return request.demand + (reserve > 0n ? wholeCalls(reserve, request.granule) : 0n);
}

/** Parts of a call would lie idle in one gateway while another lacks them. */
const wholeCalls = (amount: bigint, granule: bigint): bigint => (granule > 0n ? amount - (amount % granule) : amount);

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
