/**
 * Money is integer micros: 1/1,000,000 of the currency unit ($1 = 1,000,000, 1 cent = 10,000). It is never a float. The
 * type is branded, so a plain bigint (a count, a number of cents) cannot be passed for it; arithmetic goes through the
 * functions below, and where a result must be rounded the direction is in the name.
 */
declare const microsBrand: unique symbol;
export type Micros = bigint & { readonly [microsBrand]: true };

export const MICROS_PER_CENT = 10_000n;
export const MICROS_PER_UNIT = 1_000_000n;
export const ZERO_MICROS = 0n as Micros;

// The range of a signed 64-bit column.
const MICROS_MAX = 2n ** 63n - 1n;

/** Brands an integer number of micros. @throws RangeError outside the signed 64-bit range. */
export function toMicros(value: bigint): Micros {
  if (value > MICROS_MAX || value < -MICROS_MAX) throw new RangeError("Amount outside the 64-bit range");
  return value as Micros;
}

/** Reads a decimal string of micros ("-1500"). @throws RangeError for anything else, including "", "1.5" and "1e3". */
export function parseMicros(text: string): Micros {
  if (!/^-?\d{1,19}$/.test(text)) throw new RangeError(`Not an integer number of micros: ${text.slice(0, 40)}`);
  return toMicros(BigInt(text));
}

/** Micros of a count of cents, as Stripe counts. */
export function microsFromCents(cents: bigint): Micros {
  return toMicros(cents * MICROS_PER_CENT);
}

/** Whole cents of an amount, rounded towards negative infinity: what can be paid out without paying too much. */
export function centsRoundedDown(amount: Micros): bigint {
  return divideFloor(amount, MICROS_PER_CENT);
}

/** Whole cents of an amount, rounded towards positive infinity: what must be collected so as not to collect too little. */
export function centsRoundedUp(amount: Micros): bigint {
  return -divideFloor(-amount, MICROS_PER_CENT);
}

export function addMicros(a: Micros, b: Micros): Micros {
  return toMicros(a + b);
}

export function subtractMicros(a: Micros, b: Micros): Micros {
  return toMicros(a - b);
}

export function negateMicros(a: Micros): Micros {
  return -a as Micros;
}

export function sumMicros(amounts: Iterable<Micros>): Micros {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return toMicros(total);
}

export function minMicros(a: Micros, b: Micros): Micros {
  return a < b ? a : b;
}

/** Price times quantity. The quantity is a whole number of calls or units. */
export function multiplyMicros(price: Micros, quantity: bigint): Micros {
  return toMicros(price * quantity);
}

/** `amount × numerator / denominator`, rounded towards positive infinity. @throws RangeError if the denominator is not positive. */
export function scaleMicrosRoundedUp(amount: Micros, numerator: bigint, denominator: bigint): Micros {
  if (denominator <= 0n) throw new RangeError("The denominator must be positive");
  return toMicros(-divideFloor(-(amount * numerator), denominator));
}

/** `amount × numerator / denominator`, rounded towards negative infinity. @throws RangeError if the denominator is not positive. */
export function scaleMicrosRoundedDown(amount: Micros, numerator: bigint, denominator: bigint): Micros {
  if (denominator <= 0n) throw new RangeError("The denominator must be positive");
  return toMicros(divideFloor(amount * numerator, denominator));
}

/**
 * Splits an amount over weights so that the parts add up to the amount exactly (largest remainder; of equal remainders
 * the earlier part wins). @throws RangeError for a negative weight or weights that sum to zero.
 */
export function allocateMicros(amount: Micros, weights: readonly bigint[]): Micros[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0n);
  if (total <= 0n || weights.some((weight) => weight < 0n)) {
    throw new RangeError("Weights must not be negative and must not sum to zero");
  }
  const sign = amount < 0n ? -1n : 1n;
  const size = amount * sign;
  const parts = weights.map((weight, index) => ({
    index,
    whole: (size * weight) / total,
    rest: (size * weight) % total,
  }));
  let left = size - parts.reduce((sum, part) => sum + part.whole, 0n);
  for (const part of [...parts].sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest < b.rest ? 1 : -1))) {
    if (left === 0n) break;
    part.whole += 1n;
    left -= 1n;
  }
  return parts.map((part) => toMicros(part.whole * sign));
}

/** An amount for people: `$1.50`, `-$0.000001`. At least two decimals, no more than it needs. */
export function formatMicros(amount: Micros, symbol = "$"): string {
  const size = amount < 0n ? -amount : amount;
  const decimals = (size % MICROS_PER_UNIT)
    .toString()
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  return `${amount < 0n ? "-" : ""}${symbol}${size / MICROS_PER_UNIT}.${decimals}`;
}

function divideFloor(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  return numerator % denominator < 0n ? quotient - 1n : quotient;
}
