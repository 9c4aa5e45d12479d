import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addMicros,
  allocateMicros,
  centsRoundedDown,
  centsRoundedUp,
  formatMicros,
  microsFromCents,
  multiplyMicros,
  negateMicros,
  parseMicros,
  scaleMicrosRoundedDown,
  scaleMicrosRoundedUp,
  subtractMicros,
  sumMicros,
  toMicros,
} from "./money.ts";

const MAX = 2n ** 63n - 1n;
const micros = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }).map(toMicros);
const weights = fc
  .array(fc.bigInt({ min: 0n, max: 10n ** 9n }), { minLength: 1, maxLength: 20 })
  .filter((parts) => parts.some((part) => part > 0n));

describe("splitting an amount", () => {
  it("gives parts that add up to it exactly, whatever its sign", () => {
    fc.assert(
      fc.property(micros, weights, (amount, shares) => {
        expect(sumMicros(allocateMicros(amount, shares))).toBe(amount);
      }),
    );
  });

  it("gives each part its exact share, rounded by less than one micro, and never against the amount's sign", () => {
    fc.assert(
      fc.property(micros, weights, (amount, shares) => {
        const total = shares.reduce((sum, share) => sum + share, 0n);
        for (const [index, part] of allocateMicros(amount, shares).entries()) {
          const error = part * total - amount * (shares[index] ?? 0n);
          expect(error < total && error > -total).toBe(true);
          expect(amount < 0n ? part <= 0n : part >= 0n).toBe(true);
        }
      }),
    );
  });

  it("gives what is left over to the largest remainders, and of equal ones to the earlier", () => {
    expect(allocateMicros(toMicros(100n), [1n, 1n, 1n])).toEqual([34n, 33n, 33n]);
    expect(allocateMicros(toMicros(-100n), [1n, 1n, 1n])).toEqual([-34n, -33n, -33n]);
    expect(allocateMicros(toMicros(10n), [1n, 0n, 2n])).toEqual([3n, 0n, 7n]);
  });

  it("refuses weights that are negative, none, or all zero", () => {
    for (const shares of [[], [0n, 0n], [2n, -1n]])
      expect(() => allocateMicros(toMicros(1n), shares)).toThrow(RangeError);
  });
});

describe("rounding", () => {
  it.each([
    [15_000n, 1n, 2n],
    [-15_000n, -2n, -1n],
    [10_000n, 1n, 1n],
    [-10_000n, -1n, -1n],
    [1n, 0n, 1n],
    [-1n, -1n, 0n],
    [0n, 0n, 0n],
  ])("%d micros are %d cents rounded down and %d rounded up", (amount, down, up) => {
    expect([centsRoundedDown(toMicros(amount)), centsRoundedUp(toMicros(amount))]).toEqual([down, up]);
  });

  it("down and up differ by one micro exactly when the product is not whole, for either sign", () => {
    fc.assert(
      fc.property(
        micros,
        fc.bigInt({ min: -1_000n, max: 1_000n }),
        fc.bigInt({ min: 1n, max: 1_000n }),
        (amount, n, d) => {
          const down = scaleMicrosRoundedDown(amount, n, d);
          const up = scaleMicrosRoundedUp(amount, n, d);
          expect(down * d <= amount * n && amount * n <= up * d).toBe(true);
          expect(up - down).toBe((amount * n) % d === 0n ? 0n : 1n);
        },
      ),
    );
  });

  it("refuses a denominator that is not positive", () => {
    for (const denominator of [0n, -1n]) {
      expect(() => scaleMicrosRoundedUp(toMicros(1n), 1n, denominator)).toThrow(RangeError);
      expect(() => scaleMicrosRoundedDown(toMicros(1n), 1n, denominator)).toThrow(RangeError);
    }
  });
});

describe("amounts", () => {
  it("go from cents to micros and back unchanged", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), (cents) => {
        expect(centsRoundedDown(microsFromCents(cents))).toBe(cents);
        expect(centsRoundedUp(microsFromCents(cents))).toBe(cents);
      }),
    );
  });

  it("that leave 64 bits are refused, not wrapped", () => {
    expect(toMicros(MAX)).toBe(MAX);
    expect(() => addMicros(toMicros(MAX), toMicros(1n))).toThrow(RangeError);
    expect(() => subtractMicros(toMicros(-MAX), toMicros(1n))).toThrow(RangeError);
    expect(() => multiplyMicros(toMicros(MAX), 2n)).toThrow(RangeError);
    expect(() => sumMicros([toMicros(MAX), toMicros(MAX)])).toThrow(RangeError);
    expect(negateMicros(toMicros(-MAX))).toBe(MAX);
  });

  it.each(["0", "-1500", "9223372036854775807", "007"])("are read from %j", (text) => {
    expect(parseMicros(text)).toBe(BigInt(text));
  });

  it.each([
    "",
    " ",
    "1.5",
    "1e3",
    "+1",
    "0x10",
    "1 ",
    "\n1",
    "9223372036854775808",
    "99999999999999999999",
    "one",
    "-",
  ])("are not read from %j", (text) => {
    expect(() => parseMicros(text)).toThrow(RangeError);
  });

  it.each([
    [0n, "$0.00"],
    [1_500_000n, "$1.50"],
    [-1n, "-$0.000001"],
    [1_234_567_890_123n, "$1234567.890123"],
    [100n, "$0.0001"],
    [-2_000_000n, "-$2.00"],
  ])("%d are shown as %s", (amount, text) => {
    expect(formatMicros(toMicros(amount))).toBe(text);
  });
});
