import fc from "fast-check";
import { expect, test } from "vitest";
import { scalePopularity } from "./rankApis.ts";

const popularityOf = (...counts: number[]): number[] => [
  ...scalePopularity(counts.map((calls, index) => ({ id: `api_${index}`, calls }))).values(),
];

test("popularity is linear in the calls, from 1 for none to 10 for the most", () => {
  expect(popularityOf(0, 10, 20, 50, 51, 90, 91, 100)).toEqual([1, 1, 2, 5, 6, 9, 10, 10]);
  expect(popularityOf(7, 7, 7)).toEqual([10, 10, 10]);
  expect(popularityOf(0, 0)).toEqual([1, 1]);
  expect(popularityOf()).toEqual([]);
});

test("one giant has 10 and sets the scale aside, so that the others are told apart", () => {
  expect(popularityOf(10, 20, 50, 100, 1_000_000)).toEqual([1, 2, 5, 10, 10]);
});

test("an outlier is one whose calls are more than 1.5 standard deviations above the mean, and no less", () => {
  // Of many that are low and some that are high, the high are √(low / high) deviations above the mean.
  const ranks = (low: number, high: number) => popularityOf(...Array(low).fill(1), ...Array(high).fill(14));
  expect(ranks(2, 1)).toEqual([1, 1, 10]);
  expect(ranks(9, 4)).toEqual([...Array(9).fill(1), ...Array(4).fill(10)]);
  // Set aside, they leave the low ones to be the scale.
  expect(ranks(3, 1)).toEqual([10, 10, 10, 10]);
  expect(ranks(7, 3)).toEqual(Array(10).fill(10));
});

test("whatever is called: more calls never mean less, the scale is used whole, and a giant changes nothing for the others", () => {
  const counts = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(counts, (calls) => {
      const sorted = [...calls].sort((a, b) => a - b);
      const ranks = popularityOf(...sorted);
      expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
      expect(ranks.every((rank) => Number.isInteger(rank) && rank >= 1 && rank <= 10)).toBe(true);
      if (sorted.at(-1) !== 0) expect(ranks.at(-1)).toBe(10);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 5, max: 40 }), fc.integer({ min: 10_000, max: 1e9 }), (others, giant) => {
      const steps = Array.from({ length: others }, (_, index) => index + 1);
      expect(popularityOf(...steps, giant).slice(0, -1)).toEqual(
        steps.map((calls) => Math.ceil((calls / others) * 10)),
      );
    }),
  );
});
