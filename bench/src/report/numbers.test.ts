import { expect, it } from "vitest";
import { median, slope } from "./numbers.ts";

it("takes the middle value, or the mean of the two in the middle, whatever the order", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([10, 9])).toBe(9.5);
  expect(() => median([])).toThrow(RangeError);
});

it("finds the slope of a line, and none in what only goes up and down", () => {
  const line = [0, 1, 2, 3].map((x) => [x, 7 - 2 * x] as const);
  expect(slope(line)).toBeCloseTo(-2);
  expect(
    slope([
      [0, 5],
      [1, 8],
      [2, 8],
      [3, 5],
    ]),
  ).toBeCloseTo(0);
  expect(() =>
    slope([
      [1, 1],
      [1, 2],
    ]),
  ).toThrow(RangeError);
});
