import { toMicros } from "@tollgate/kernel";
import { expect, test } from "vitest";
import { formatColumn, formatMoney } from "./formatMoney.ts";

const micros = (amount: number) => toMicros(BigInt(amount));

test.each([
  [0, "usd", "$0.00"],
  [999_000_000, "usd", "$999.00"],
  [1_234_500_000, "usd", "$1,234.50"],
  [1_234_567_000_001, "eur", "€1,234,567.000001"],
  [-1_234_500_000, "gbp", "-£1,234.50"],
  [-1, "eur", "-€0.000001"],
  [2_500_000_000, "jpy", "JPY 2,500.00"],
])("%i micros of %s are written %s", (amount, currency, text) => {
  expect(formatMoney(micros(amount), currency)).toBe(text);
});

test("a column has its points in line, and loses no digit", () => {
  const amounts = [micros(24_691_340), micros(3_703_701_000), micros(-500_000)];
  expect(amounts.map(formatColumn(amounts, "usd"))).toEqual(["$24.69134", "$3,703.70100", "-$0.50000"]);
  expect(formatColumn([], "usd")(micros(1_000_000))).toBe("$1.00");
});
