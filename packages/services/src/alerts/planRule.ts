/** What a rule is told about the world. Null: there is nothing to tell by, which is not the same as zero. */
export interface RuleFacts {
  readonly kind: "balanceBelow" | "spendAbove" | "errorRateAbove" | "noUsage";
  readonly state: "unknown" | "ok" | "firing";
  readonly threshold: number;
  readonly measured: number | null;
}

export type RulePlan = { readonly kind: "stay" } | { readonly kind: "become"; readonly state: "ok" | "firing" };

/**
 * A rule that fires is over only when the value has come back by a tenth: one that swings about its threshold fires once. In
 * whole tenths, because 100 × 1.1 is more than 110 in floating point.
 */
const TENTHS_BACK = { low: 11, high: 9 };

/**
 * Whether a rule begins to fire, is over, or neither: once a crossing, with hysteresis on the way back. Without a
 * measurement nothing changes.
 */
export function planRule({ kind, state, threshold, measured }: RuleFacts): RulePlan {
  if (measured === null) return { kind: "stay" };
  const isLow = kind === "balanceBelow";
  const isCrossed = kind === "noUsage" ? measured === 0 : isLow ? measured < threshold : measured > threshold;
  if (state !== "firing") {
    const next = isCrossed ? "firing" : "ok";
    return next === state ? { kind: "stay" } : { kind: "become", state: next };
  }
  const back = threshold * (isLow ? TENTHS_BACK.low : TENTHS_BACK.high);
  const isOver = kind === "noUsage" ? measured > 0 : isLow ? measured * 10 >= back : measured * 10 <= back;
  return isOver ? { kind: "become", state: "ok" } : { kind: "stay" };
}
