import type { GrantSource } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";
import { minMicros, subtractMicros, ZERO_MICROS } from "@tollgate/kernel";

/**
 * The order in which credit is spent: what expires soonest first; of equal expiries what was given before what was paid
 * for; of equal sources the oldest. Pure, so that a settlement, a debit and the shown list cannot differ.
 */
export const GRANT_PRIORITIES = { promo: 10, subscription: 20, adjustment: 30, paid: 40 } as const satisfies Record<
  GrantSource,
  number
>;

export interface OrderedGrant {
  readonly id: string;
  readonly priority: number;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
}

export interface SpendableGrant extends OrderedGrant {
  readonly remainingMicros: Micros;
}

export interface Consumption {
  readonly grantId: string;
  readonly amountMicros: Micros;
}

export function compareGrants(a: OrderedGrant, b: OrderedGrant): number {
  const byExpiry = compareNumbers(a.expiresAt?.getTime() ?? Infinity, b.expiresAt?.getTime() ?? Infinity);
  if (byExpiry !== 0) return byExpiry;
  const byPriority = a.priority - b.priority;
  if (byPriority !== 0) return byPriority;
  const byAge = a.createdAt.getTime() - b.createdAt.getTime();
  if (byAge !== 0) return byAge;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Takes up to `amount` from grants in their order. The consumptions add up to less than the amount when there is not enough. */
export function consumeGrants(grants: readonly SpendableGrant[], amount: Micros): Consumption[] {
  const consumptions: Consumption[] = [];
  let left = amount;
  for (const grant of [...grants].sort(compareGrants)) {
    if (left <= 0n) break;
    const taken = minMicros(left, grant.remainingMicros);
    if (taken <= ZERO_MICROS) continue;
    consumptions.push({ grantId: grant.id, amountMicros: taken });
    left = subtractMicros(left, taken);
  }
  return consumptions;
}

// Infinity − Infinity is not a number, so subtraction will not do.
const compareNumbers = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
