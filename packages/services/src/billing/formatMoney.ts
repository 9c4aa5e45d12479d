import type { Micros } from "@tollgate/kernel";
import { formatMicros } from "@tollgate/kernel";

const SYMBOLS: Readonly<Record<string, string>> = { usd: "$", eur: "€", gbp: "£" };

/**
 * An amount in a currency as documents and mails write it: `$1,234.50`, `JPY 200.00`, `-€0.000001`. Two decimals or as many
 * as it needs, and at least `decimalsMin`.
 */
export function formatMoney(amount: Micros, currency: string, decimalsMin = 2): string {
  const text = formatMicros(amount, SYMBOLS[currency] ?? `${currency.toUpperCase()} `);
  const [whole = "", decimals = ""] = text.split(".");
  return `${whole.replace(/\d+$/, groupDigits)}.${decimals.padEnd(decimalsMin, "0")}`;
}

/** Amounts of one column: all with as many decimals as the one that needs most, so that their points are in line. */
export function formatColumn(amounts: readonly Micros[], currency: string): (amount: Micros) => string {
  const decimals = Math.max(2, ...amounts.map((amount) => formatMicros(amount).split(".")[1]?.length ?? 0));
  return (amount) => formatMoney(amount, currency, decimals);
}

/** Whole numbers with a comma every three digits. */
export const groupDigits = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",");
