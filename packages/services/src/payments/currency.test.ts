import { describe, expect, it } from "vitest";
import { formatCents, microsOf, toCurrency } from "./currency.ts";

describe("currencies", () => {
  it.each([
    ["usd", 1_050, 10_500_000n, "10.50 USD"],
    ["jpy", 1_050, 1_050_000_000n, "1050 JPY"],
    ["kwd", 1_050, 1_050_000n, "1.050 KWD"],
  ])("an amount in the smallest unit of %s is so many micros of the unit itself", (code, cents, micros, shown) => {
    const currency = toCurrency(code);
    expect(microsOf(currency, cents)).toBe(micros);
    expect(formatCents(currency, cents)).toBe(shown);
  });

  it.each(["USD", "", "dollars", "isk", "ugx"])("%s is refused at the start, not when money comes", (code) => {
    expect(() => toCurrency(code)).toThrow(RangeError);
  });

  it("part of the smallest unit is refused", () => {
    expect(() => microsOf(toCurrency("usd"), 10.5)).toThrow(RangeError);
  });
});
