import { TollgateError } from "@tollgate/kernel";
import type { RoutedEndpoint } from "../catalogue/catalogueCache.ts";
import type { Gateway } from "../gateway.ts";
import type { Caller } from "../identity/caller.ts";
import type { Refusal } from "./refusal.ts";
import { REFUSALS } from "./refusal.ts";
import type { Reservation, Shortage } from "./reserve.ts";
import { reserve } from "./reserve.ts";

const BUDGET_ROUNDS_MAX = 50;

/** Asks for the slices that are missing, one after the other, until the call can be decided. */
export async function waitForBudgets(
  gateway: Gateway,
  caller: Caller,
  endpoint: RoutedEndpoint,
  shortage: Shortage,
): Promise<Reservation | Refusal> {
  let decision: Reservation | Refusal | Shortage = shortage;
  try {
    for (let round = 0; "slice" in decision && round < BUDGET_ROUNDS_MAX; round += 1) {
      await gateway.budgets.wait(decision.slice, decision.amount);
      decision = reserve(gateway.budgets, caller, endpoint, gateway.settings, gateway.clock.nowMs());
    }
  } catch (error) {
    if (!(error instanceof TollgateError)) gateway.logger.error({ err: error }, "budgets cannot be asked for");
    return REFUSALS.budgets;
  }
  return "slice" in decision ? REFUSALS.budgets : decision;
}
