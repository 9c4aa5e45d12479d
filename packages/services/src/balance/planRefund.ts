import type { Micros } from "@tollgate/kernel";
import { minMicros, negateMicros, subtractMicros, sumMicros, ZERO_MICROS } from "@tollgate/kernel";
import type { Consumption, OrderedGrant } from "./grantOrder.ts";
import { compareGrants } from "./grantOrder.ts";

/** What a grant gave to the transaction that is refunded, less what it got back already. */
export interface SpentPart extends OrderedGrant {
  readonly amountMicros: Micros;
}

export interface RefundPlan {
  /** Negative amounts: what each grant gets back. */
  readonly returned: readonly Consumption[];
  /** What no grant had given (it was owed, and other credit may have made it good since): new credit. */
  readonly freshMicros: Micros;
  /** The part of the fresh credit that makes a wallet below zero good. */
  readonly repaidMicros: Micros;
}

/**
 * A refund by provenance: a debt of the wallet is made good first, because that part of the spending came last of all;
 * then each grant gets back what it gave, the one that was spent last first. Pure.
 */
export function planRefund(facts: {
  readonly micros: Micros;
  /** What is posted on the wallet before. */
  readonly postedMicros: Micros;
  readonly parts: readonly SpentPart[];
}): RefundPlan {
  const debt = facts.postedMicros < 0n ? negateMicros(facts.postedMicros) : ZERO_MICROS;
  const repaidMicros = minMicros(debt, facts.micros);
  let left = subtractMicros(facts.micros, repaidMicros);
  const returned: Consumption[] = [];
  for (const part of [...facts.parts].sort((a, b) => compareGrants(b, a))) {
    const amount = minMicros(left, part.amountMicros);
    if (amount <= 0n) continue;
    returned.push({ grantId: part.id, amountMicros: negateMicros(amount) });
    left = subtractMicros(left, amount);
  }
  return { returned, freshMicros: sumMicros([repaidMicros, left]), repaidMicros };
}
