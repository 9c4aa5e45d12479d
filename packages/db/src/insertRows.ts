import type { InferInsertModel } from "drizzle-orm";
import { getTableColumns, getTableName, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { Db } from "./database.ts";

/**
 * Inserts many rows by a statement whose text is the same however many they are, so it stays prepared: they travel as one
 * JSON parameter. They are inserted in their order.
 * (https://www.postgresql.org/docs/current/functions-json.html, `jsonb_to_recordset`)
 * @throws Error when the rows do not all name the same columns: one that only some have would be lost
 */
export async function insertRows<Table extends PgTable>(
  db: Db,
  table: Table,
  rows: readonly InferInsertModel<Table>[],
): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.entries(getTableColumns(table)).filter(([key]) => key in first);
  if (rows.some((row) => Object.keys(row).length !== columns.length || !columns.every(([key]) => key in row))) {
    throw new Error(`Rows of ${getTableName(table)} name different columns`);
  }
  const names = sql.join(
    columns.map(([, { name }]) => sql.identifier(name)),
    sql`, `,
  );
  const typed = sql.join(
    columns.map(([, column]) => sql`${sql.identifier(column.name)} ${sql.raw(column.getSQLType())}`),
    sql`, `,
  );
  const records = rows.map((row) =>
    Object.fromEntries(columns.map(([key, { name }]) => [name, (row as Record<string, unknown>)[key]])),
  );
  await db.execute(sql`
    insert into ${table} (${names}) select ${names} from jsonb_to_recordset(${toJson(records)}::jsonb) as r (${typed})`);
}

/** An int8 travels as a decimal string, which the database reads as the number that it is. */
const toJson = (records: readonly object[]): string =>
  JSON.stringify(records, (_, value) => (typeof value === "bigint" ? value.toString() : value));
