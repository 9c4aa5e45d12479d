import type { BudgetPool } from "../budgets/budgetPool.ts";
import type { BudgetSlice } from "../budgets/budgetSlice.ts";
import type { RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { Caller } from "../identity/caller.ts";
import type { GatewaySettings } from "../settings.ts";
import type { Refusal } from "./refusal.ts";
import { REFUSALS } from "./refusal.ts";

/** What a call will cost, and what was set aside for it. */
export interface Reservation {
  readonly outcome: "charged" | "quota" | "free" | "test";
  readonly unitPriceMicros: number;
  /** Set aside in each of the slices: micros of money, or one call of a quota. */
  readonly amount: number;
  readonly slices: readonly BudgetSlice[];
}

/** A slice that has to be asked for before it can be decided. */
export interface Shortage {
  readonly slice: BudgetSlice;
  readonly amount: number;
}

/** What a price depends on beyond the endpoint. */
export type PriceRules = Pick<GatewaySettings, "freeCallOverCapPriceMicros">;

/**
 * Decides price and money of a call (steps 5 and 6 of the decision) from what this gateway holds, and sets the amount
 * aside. Without an answer yet, it says which slice must be asked for: then the same question is put again.
 */
export function reserve(
  pool: BudgetPool,
  caller: Caller,
  endpoint: RoutedEndpoint,
  rules: PriceRules,
  nowMs: number,
): Reservation | Refusal | Shortage {
  caller.renew(nowMs);
  const price = endpoint.unitPrice(nowMs);
  if (!caller.isLive) {
    return takeAll(pool, caller.testCalls, 1, nowMs, "test", 0, REFUSALS.testCalls);
  }
  if (price === 0) {
    const free = takeAll(pool, caller.tierFree, 1, nowMs, "free", 0, undefined);
    if (free !== undefined) return free;
    const overCap = rules.freeCallOverCapPriceMicros;
    return takeAll(pool, caller.money, overCap, nowMs, "charged", overCap, REFUSALS.usageCap);
  }
  if (endpoint.freePerMonth > 0) {
    const slices = caller.endpointFree(endpoint.id, endpoint.freePerMonth);
    const quota = takeAll(pool, slices, 1, nowMs, "quota", price, undefined);
    if (quota !== undefined) return quota;
  }
  return takeAll(pool, caller.money, price * endpoint.unitsMax, nowMs, "charged", price, REFUSALS.credit);
}

/** All of the slices or none. `walletRefusal` undefined: when exhausted, say so and let the caller go on to the next price. */
function takeAll(
  pool: BudgetPool,
  slices: readonly BudgetSlice[],
  amount: number,
  nowMs: number,
  outcome: Reservation["outcome"],
  unitPriceMicros: number,
  walletRefusal: Refusal,
): Reservation | Refusal | Shortage;
function takeAll(
  pool: BudgetPool,
  slices: readonly BudgetSlice[],
  amount: number,
  nowMs: number,
  outcome: Reservation["outcome"],
  unitPriceMicros: number,
  walletRefusal: undefined,
): Reservation | Shortage | undefined;
function takeAll(
  pool: BudgetPool,
  slices: readonly BudgetSlice[],
  amount: number,
  nowMs: number,
  outcome: Reservation["outcome"],
  unitPriceMicros: number,
  walletRefusal: Refusal | undefined,
): Reservation | Refusal | Shortage | undefined {
  let short: BudgetSlice | undefined;
  for (const slice of slices) {
    if (slice.covers(amount, nowMs) && pool.isUsable) continue;
    if (slice.isExhausted(amount, nowMs))
      return walletRefusal === undefined ? undefined : refusalOf(slice, walletRefusal);
    short ??= slice;
  }
  if (short !== undefined) return { slice: short, amount };
  for (const slice of slices) pool.take(slice, amount, nowMs);
  return { outcome, unitPriceMicros, amount, slices };
}

function refusalOf(slice: BudgetSlice, walletRefusal: Refusal): Refusal {
  switch (slice.kind) {
    case "project_cap":
      return REFUSALS.projectCap;
    case "key_cap":
      return REFUSALS.keyCap;
    case "wallet":
    case "tier_free":
    case "endpoint_free":
    case "test_calls":
      return walletRefusal;
  }
}
