import type { Sql, TransactionSql } from "postgres";
import postgres from "postgres";

/** A row that is not as it was: only `before` when it has gone, only `after` when it is new. Rows are JSON text. */
export interface RowChange {
  readonly table: string;
  readonly before?: string;
  readonly after?: string;
}

interface Table {
  readonly name: string;
  readonly primaryKey: readonly string[];
  readonly columns: readonly string[];
}

interface Row {
  readonly table: string;
  readonly text: string;
}

/**
 * Every row of a small test database as it was once: says what has changed since, and puts it back. A test can so call
 * whatever changes the database, be certain that nothing else did, and start each time from the same state.
 */
export class DatabaseSnapshot {
  readonly #sql: Sql;
  /** Tables that others refer to come before those that refer to them. */
  readonly #tables: readonly Table[];
  readonly #rows: ReadonlyMap<string, Row>;

  private constructor(sql: Sql, tables: readonly Table[], rows: ReadonlyMap<string, Row>) {
    this.#sql = sql;
    this.#tables = tables;
    this.#rows = rows;
  }

  /** The rows of every table as they are now. */
  static async take(databaseUrl: string): Promise<DatabaseSnapshot> {
    const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
    const tables = await readTables(sql);
    return new DatabaseSnapshot(sql, tables, await readRows(sql, tables));
  }

  /** The text of every row as it was. */
  get texts(): readonly string[] {
    return [...this.#rows.values()].map((row) => row.text);
  }

  /** What is not as it was. */
  async changes(): Promise<RowChange[]> {
    const now = await readRows(this.#sql, this.#tables);
    const changes: RowChange[] = [];
    for (const [key, { table, text }] of this.#rows) {
      const after = now.get(key);
      if (after === undefined) changes.push({ table, before: text });
      else if (after.text !== text) changes.push({ table, before: text, after: after.text });
    }
    for (const [key, { table, text }] of now) {
      if (!this.#rows.has(key)) changes.push({ table, after: text });
    }
    return changes;
  }

  /** Puts back what {@link changes} has found. */
  async restore(changes: readonly RowChange[]): Promise<void> {
    if (changes.length === 0) return;
    const of = (table: Table): RowChange[] => changes.filter((change) => change.table === table.name);
    await this.#sql.begin(async (sql) => {
      for (const table of this.#tables.toReversed()) {
        for (const { before, after } of of(table)) {
          if (before === undefined && after !== undefined) await deleteRow(sql, table, after);
        }
      }
      for (const table of this.#tables) {
        for (const { before } of of(table)) if (before !== undefined) await writeRow(sql, table, before);
      }
    });
  }

  async close(): Promise<void> {
    await this.#sql.end();
  }
}

async function readTables(sql: Sql): Promise<Table[]> {
  const columns = await sql<{ table: string; column: string }[]>`
    select c.table_name as "table", c.column_name as "column"
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE' order by c.table_name, c.ordinal_position`;
  const keys = await sql<{ table: string; column: string }[]>`
    select k.table_name as "table", k.column_name as "column"
    from information_schema.table_constraints c
    join information_schema.key_column_usage k using (constraint_schema, constraint_name)
    where c.table_schema = 'public' and c.constraint_type = 'PRIMARY KEY' order by k.table_name, k.ordinal_position`;
  const references = await sql<{ from: string; to: string }[]>`
    select c.table_name as "from", u.table_name as "to"
    from information_schema.table_constraints c
    join information_schema.constraint_table_usage u using (constraint_schema, constraint_name)
    where c.table_schema = 'public' and c.constraint_type = 'FOREIGN KEY'`;
  const columnsOf = (rows: readonly { table: string; column: string }[], name: string): string[] =>
    rows.filter((row) => row.table === name).map((row) => row.column);
  const tables = [...new Set(columns.map((row) => row.table))].map((name) => {
    const primaryKey = columnsOf(keys, name);
    if (primaryKey.length === 0) throw new Error(`${name} has no primary key`);
    return { name, primaryKey, columns: columnsOf(columns, name) };
  });
  return sortByReference(tables, references);
}

function sortByReference(tables: readonly Table[], references: readonly { from: string; to: string }[]): Table[] {
  const sorted: Table[] = [];
  const visit = (table: Table, path: readonly string[]): void => {
    if (path.includes(table.name)) throw new Error(`Tables refer to each other: ${[...path, table.name].join(" → ")}`);
    if (sorted.includes(table)) return;
    const targets = references.filter(({ from, to }) => from === table.name && to !== from).map(({ to }) => to);
    for (const target of tables) if (targets.includes(target.name)) visit(target, [...path, table.name]);
    sorted.push(table);
  };
  for (const table of tables) visit(table, []);
  return sorted;
}

/** All rows in one statement, so that they are of one instant. */
async function readRows(sql: Sql, tables: readonly Table[]): Promise<Map<string, Row>> {
  const selects = tables.map(({ name, primaryKey }) => {
    const key = primaryKey.map((column) => `r."${column}"`).join(", ");
    return `select '${name}' as "table", jsonb_build_array(${key})::text as key, to_jsonb(r)::text as text from "${name}" r`;
  });
  const rows = await sql.unsafe<(Row & { key: string })[]>(selects.join(" union all "));
  return new Map(rows.map(({ table, key, text }) => [`${table} ${key}`, { table, text }]));
}

async function deleteRow(sql: TransactionSql, table: Table, text: string): Promise<void> {
  await sql.unsafe(`delete from "${table.name}" r where to_jsonb(r)::text = $1`, [text]);
}

async function writeRow(sql: TransactionSql, table: Table, text: string): Promise<void> {
  const names = table.columns.map((column) => `"${column}"`).join(", ");
  const key = table.primaryKey.map((column) => `"${column}"`).join(", ");
  const others = table.columns.filter((column) => !table.primaryKey.includes(column));
  const update = others.map((column) => `"${column}" = excluded."${column}"`).join(", ");
  await sql.unsafe(
    `insert into "${table.name}" (${names})
     select ${names} from jsonb_populate_record(null::"${table.name}", $1::text::jsonb)
     on conflict (${key}) do ${update === "" ? "nothing" : `update set ${update}`}`,
    [text],
  );
}
