import type { Micros } from "@tollgate/kernel";
import { toMicros } from "@tollgate/kernel";

/**
 * Stripe counts in a currency's smallest unit: cents, whole yen, thousandths of a dinar
 * (https://docs.stripe.com/currencies). A micro is a millionth of the unit itself, whatever the currency.
 */
const ZERO_DECIMAL = new Set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split(" "));
const THREE_DECIMAL = new Set("bhd jod kwd omr tnd".split(" "));
/** Stripe takes these in a unit that is not the one that it shows: an amount would mean two things. */
const AMBIGUOUS = new Set(["isk", "ugx", "huf", "twd"]);

/** A currency that a deployment can take. */
export interface Currency {
  /** Three letters, small. */
  readonly code: string;
  /** Micros of its smallest unit: 10,000 for a cent. */
  readonly microsPerCent: bigint;
}

/** @throws RangeError for what is no currency, or one whose amounts would be ambiguous */
export function toCurrency(code: string): Currency {
  if (!/^[a-z]{3}$/.test(code)) throw new RangeError(`Not a currency of three small letters: ${code.slice(0, 10)}`);
  if (AMBIGUOUS.has(code)) throw new RangeError(`The currency ${code} cannot be used: Stripe counts it in two ways`);
  if (ZERO_DECIMAL.has(code)) return { code, microsPerCent: 1_000_000n };
  if (THREE_DECIMAL.has(code)) return { code, microsPerCent: 1_000n };
  return { code, microsPerCent: 10_000n };
}

/** Micros of an amount in the smallest unit. */
export function microsOf(currency: Currency, amountCents: number): Micros {
  if (!Number.isSafeInteger(amountCents)) throw new RangeError("Not a whole number of the smallest unit");
  return toMicros(BigInt(amountCents) * currency.microsPerCent);
}

/** An amount for people: `25.00 USD`, `2500 JPY`. */
export function formatCents(currency: Currency, amountCents: number): string {
  const decimals = currency.microsPerCent === 1_000_000n ? 0 : currency.microsPerCent === 1_000n ? 3 : 2;
  return `${(amountCents / 10 ** decimals).toFixed(decimals)} ${currency.code.toUpperCase()}`;
}
