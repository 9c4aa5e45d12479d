import fc from "fast-check";
import { expect, it } from "vitest";
import { chunksOf } from "./chunksOf.ts";

it("has every item once and in order, in pieces that are full but for the last", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 9 }), (items, size) => {
      const pieces = [...chunksOf(items, size)];
      expect(pieces.flat()).toEqual(items);
      expect(pieces.slice(0, -1).every((piece) => piece.length === size)).toBe(true);
      expect(pieces.every((piece) => piece.length > 0 && piece.length <= size)).toBe(true);
    }),
  );
});

it("refuses pieces of nothing, which would never come to an end", () => {
  expect(() => [...chunksOf([1], 0)]).toThrow(RangeError);
});
