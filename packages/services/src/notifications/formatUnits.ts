/** Micros, as decimal text, in units of the currency with two places at least: `1234500` is `1.2345`. */
export function formatUnits(micros: string): string {
  const amount = BigInt(micros === "" ? "0" : micros);
  const positive = amount < 0n ? -amount : amount;
  const places = (positive % 1_000_000n)
    .toString()
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  return `${amount < 0n ? "-" : ""}${positive / 1_000_000n}.${places}`;
}
