/** A node of PostgreSQL's own syntax tree, as libpg_query gives it: its fields, under the name of its type. */
export type SqlNode = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is SqlNode =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function asNode(value: unknown): SqlNode {
  return isRecord(value) ? value : {};
}

export function asList(value: unknown): readonly SqlNode[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** Every node below a value, with its type: `["ColumnDef", {…}]`. Types begin with a capital, fields do not. */
export function* walkSql(value: unknown, type = ""): Generator<readonly [type: string, node: SqlNode]> {
  if (Array.isArray(value)) {
    for (const item of value) yield* walkSql(item);
    return;
  }
  if (!isRecord(value)) return;
  if (type !== "") yield [type, value];
  for (const [field, child] of Object.entries(value)) {
    yield* walkSql(child, /^[A-Z]/.test(field) ? field : (FIELD_TYPES[field] ?? ""));
  }
}

/** Fields whose node stands there without the name of its type. */
const FIELD_TYPES: Readonly<Record<string, string>> = {
  relation: "RangeVar",
  typeName: "TypeName",
  onConflictClause: "OnConflictClause",
  partspec: "PartitionSpec",
  partbound: "PartitionBoundSpec",
  infer: "InferClause",
};

/** The text of a `String` node. */
export function stringOf(value: unknown): string {
  const text = asNode(asNode(value)["String"])["sval"];
  return typeof text === "string" ? text : "";
}

/** The last part of a qualified name, in lower case: `pg_catalog.nextval` → `nextval`. */
export function lastName(names: unknown): string {
  return stringOf(asList(names).at(-1)).toLowerCase();
}
