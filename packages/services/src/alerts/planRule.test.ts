import { describe, expect, it } from "vitest";
import { planRule } from "./planRule.ts";

const walk = (kind: Parameters<typeof planRule>[0]["kind"], threshold: number, values: readonly (number | null)[]) => {
  let state: "unknown" | "ok" | "firing" = "unknown";
  return values.map((measured) => {
    const plan = planRule({ kind, state, threshold, measured });
    if (plan.kind === "become") state = plan.state;
    return plan.kind === "become" ? plan.state : "-";
  });
};

describe("a rule", () => {
  it("fires once a crossing and is over once the value has come back by a tenth", () => {
    expect(walk("balanceBelow", 100, [150, 99, 50, 101, 99, 109, 110, 120, 80])).toEqual([
      "ok",
      "firing",
      "-",
      "-",
      "-",
      "-",
      "ok",
      "-",
      "firing",
    ]);
    expect(walk("spendAbove", 100, [100, 101, 95, 101, 90, 200])).toEqual(["ok", "firing", "-", "-", "ok", "firing"]);
  });

  it("fires at its first look when the threshold is crossed already", () => {
    expect(walk("errorRateAbove", 5, [20])).toEqual(["firing"]);
  });

  it("is not moved by a signal that is missing: that is not zero", () => {
    expect(walk("noUsage", 0, [null, null, 3, null, 0, null, 0, 1])).toEqual([
      "-",
      "-",
      "ok",
      "-",
      "firing",
      "-",
      "-",
      "ok",
    ]);
    expect(walk("balanceBelow", 100, [null])).toEqual(["-"]);
  });
});
