import type postgres from "postgres";

/**
 * How arrays travel as parameters. By itself the driver asks every new connection which array types there are, and when the
 * connection breaks during that question nobody hears of its failure, which ends the process. These are the types in use
 * (their numbers are fixed: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat), and answers
 * have no arrays.
 */
const ARRAY_TYPE_OIDS = {
  ...{ bool: 1000, int2: 1005, int4: 1007, int8: 1016, float8: 1022, numeric: 1231 },
  ...{ text: 1009, varchar: 1015, json: 199, jsonb: 3807, timestamp: 1115, timestamptz: 1185 },
};

export const ARRAY_TYPES: Record<string, postgres.PostgresType> = Object.fromEntries(
  Object.entries(ARRAY_TYPE_OIDS).map(([name, oid]) => [
    `${name}Array`,
    { to: oid, from: [oid], serialize: toArrayLiteral, parse: (text: string) => text },
  ]),
);

/** https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function toArrayLiteral(items: unknown): unknown {
  if (!Array.isArray(items)) return items;
  return `{${items.map(toElement).join(",")}}`;
}

/** @throws TypeError for what has no text of its own: it would be stored as "undefined" or "[object Object]" */
function toElement(item: unknown): string {
  if (item === null) return "null";
  const isPlain = ["string", "number", "bigint", "boolean"].includes(typeof item);
  if (!isPlain && !(item instanceof Date)) throw new TypeError(`A list for the database has an item of ${typeof item}`);
  const text = item instanceof Date ? item.toISOString() : String(item);
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
