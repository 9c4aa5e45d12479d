import type { GrantSource } from "@tollgate/contracts";
import type { Micros } from "@tollgate/kernel";
import { addMicros, minMicros, subtractMicros, sumMicros, ZERO_MICROS } from "@tollgate/kernel";
import type { Consumption, SpendableGrant } from "./grantOrder.ts";
import { compareGrants } from "./grantOrder.ts";
import { HOUR_MS } from "./internal.ts";

/**
 * What a settlement posts, decided from facts alone. It walks through the hours in order: credit that expires at or
 * before an hour is taken off first, then the hour's usage takes from the credit that was good in that hour. So an hour
 * costs the same credit whether it is settled at once, late, or together with other hours. A call that arrives after
 * credit of its hour was taken off brings that much of it back. What no credit covers makes the posted balance negative.
 */
export interface SettlementGrant extends SpendableGrant {
  readonly source: GrantSource;
  /** What expiry took off before, less what was brought back since. */
  readonly expiredMicros: Micros;
}

export interface UsageLine {
  readonly hour: Date;
  readonly amountMicros: Micros;
}

export interface SettlementFacts {
  readonly postedMicros: Micros;
  /** In order of their hours. */
  readonly lines: readonly UsageLine[];
  readonly grants: readonly SettlementGrant[];
  /** Credit whose expiry is not after this is taken off in the end. */
  readonly expireThrough: Date;
}

export interface SettlementPlan {
  readonly totalMicros: Micros;
  /** Expired credit that usage of its time still needs. */
  readonly restored: readonly Consumption[];
  readonly consumed: readonly Consumption[];
  readonly expired: readonly Consumption[];
  readonly postedAfterMicros: Micros;
  readonly remainingByGrant: ReadonlyMap<string, Micros>;
}

interface GrantState {
  readonly grant: SettlementGrant;
  remaining: Micros;
  restorable: Micros;
  restored: Micros;
  consumed: Micros;
  expired: Micros;
}

export function planSettlement(facts: SettlementFacts): SettlementPlan {
  const states: GrantState[] = [...facts.grants].sort(compareGrants).map((grant) => ({
    grant,
    remaining: grant.remainingMicros,
    restorable: grant.expiredMicros,
    restored: ZERO_MICROS,
    consumed: ZERO_MICROS,
    expired: ZERO_MICROS,
  }));
  for (const line of facts.lines) {
    expireThrough(states, line.hour);
    consumeAt(states, line);
  }
  expireThrough(states, facts.expireThrough);
  const totalMicros = sumMicros(facts.lines.map((line) => line.amountMicros));
  const restored = collect(states, (state) => state.restored);
  const expired = collect(states, (state) => state.expired);
  const sumOf = (consumptions: readonly Consumption[]) => sumMicros(consumptions.map((each) => each.amountMicros));
  return {
    totalMicros,
    restored,
    consumed: collect(states, (state) => state.consumed),
    expired,
    postedAfterMicros: subtractMicros(
      addMicros(facts.postedMicros, sumOf(restored)),
      addMicros(totalMicros, sumOf(expired)),
    ),
    remainingByGrant: new Map(states.map((state) => [state.grant.id, state.remaining])),
  };
}

const isExpiredAt = (state: GrantState, at: Date): boolean =>
  state.grant.expiresAt !== null && state.grant.expiresAt.getTime() <= at.getTime();

function expireThrough(states: readonly GrantState[], at: Date): void {
  for (const state of states) {
    if (!isExpiredAt(state, at)) continue;
    state.expired = addMicros(state.expired, state.remaining);
    state.remaining = ZERO_MICROS;
  }
}

/** Credit that came after the hour pays only for what the credit of the hour does not cover: it may be settled days later. */
function consumeAt(states: readonly GrantState[], line: UsageLine): void {
  const hourEndMs = line.hour.getTime() + HOUR_MS;
  const good = states.filter((state) => !isExpiredAt(state, line.hour));
  const wasThere = (state: GrantState): boolean => state.grant.createdAt.getTime() < hourEndMs;
  let left = line.amountMicros;
  for (const state of [...good.filter(wasThere), ...good.filter((state) => !wasThere(state))]) {
    if (left <= 0n) break;
    const fromRemaining = minMicros(left, state.remaining);
    const fromExpired = minMicros(subtractMicros(left, fromRemaining), state.restorable);
    const taken = addMicros(fromRemaining, fromExpired);
    state.remaining = subtractMicros(state.remaining, fromRemaining);
    state.restorable = subtractMicros(state.restorable, fromExpired);
    state.restored = addMicros(state.restored, fromExpired);
    state.consumed = addMicros(state.consumed, taken);
    left = subtractMicros(left, taken);
  }
}

function collect(states: readonly GrantState[], amountOf: (state: GrantState) => Micros): Consumption[] {
  return states
    .filter((state) => amountOf(state) > 0n)
    .map((state) => ({ grantId: state.grant.id, amountMicros: amountOf(state) }));
}
