/** Plain JSON of an answer, on one line: amounts are decimal strings. */
export function toPlainJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_, field: unknown) => (typeof field === "bigint" ? field.toString() : field));
}
