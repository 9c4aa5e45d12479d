import type { SqlNode } from "./sqlTree.ts";
import { asList, asNode, lastName, walkSql } from "./sqlTree.ts";

/**
 * What CockroachDB lacks, or takes and treats otherwise than PostgreSQL. The product runs on both, and the suite on
 * PostgreSQL, which would let all of this pass. Checked against CockroachDB v26's documentation.
 */
export interface SqlRule {
  readonly name: string;
  readonly why: string;
  /** Only for migrations: schema changes there run in the migrator's transaction. */
  readonly isForMigrations?: boolean;
  matches(type: string, node: SqlNode): boolean;
}

const isOneOf =
  (...types: readonly string[]) =>
  (type: string): boolean =>
    types.includes(type);

const typeNamed =
  (pattern: RegExp) =>
  (type: string, node: SqlNode): boolean =>
    type === "TypeName" && pattern.test(lastName(node["names"]));

const callOf =
  (pattern: RegExp) =>
  (type: string, node: SqlNode): boolean =>
    type === "FuncCall" && pattern.test(lastName(node["funcname"]));

const constraintOf =
  (kind: string) =>
  (type: string, node: SqlNode): boolean =>
    type === "Constraint" && node["contype"] === kind;

const anyOf =
  (...matchers: readonly SqlRule["matches"][]) =>
  (type: string, node: SqlNode): boolean =>
    matchers.some((matches) => matches(type, node));

const ISOLATIONS = new Set(["serializable", "read committed"]);

export const SQL_RULES: readonly SqlRule[] = [
  {
    name: "no-sequences",
    why: "SERIAL and sequences are not sequential in a cluster and make a hot range: ids are random texts",
    matches: anyOf(
      typeNamed(/^(?:small|big)?serial[248]?$/),
      constraintOf("CONSTR_IDENTITY"),
      isOneOf("CreateSeqStmt", "AlterSeqStmt"),
      callOf(/^(?:nextval|currval|setval|lastval)$/),
      (type, node) => type === "InsertStmt" && /^OVERRIDING_(?:SYSTEM|USER)/.test(String(node["override"])),
    ),
  },
  {
    name: "no-advisory-locks",
    why: "advisory locks are taken without effect: lock a row, or use etcd",
    matches: callOf(/^pg_(?:try_)?advisory_/),
  },
  {
    name: "no-notify",
    why: "LISTEN and NOTIFY do not exist: events go through the outbox, wake-ups over NATS",
    matches: anyOf(isOneOf("ListenStmt", "NotifyStmt", "UnlistenStmt"), callOf(/^pg_notify$/)),
  },
  {
    name: "no-server-code",
    why: "functions, procedures, triggers, rules and extensions differ too much: logic is in the services",
    matches: isOneOf(
      "CreateFunctionStmt",
      "AlterFunctionStmt",
      "DoStmt",
      "CallStmt",
      "CreateTrigStmt",
      "CreateEventTrigStmt",
      "RuleStmt",
      "CreateExtensionStmt",
      "DefineStmt",
    ),
  },
  {
    name: "no-temporary-tables",
    why: "temporary tables are experimental, and unlogged ones do not exist",
    matches: (type, node) => type === "RangeVar" && (node["relpersistence"] === "t" || node["relpersistence"] === "u"),
  },
  { name: "no-exclusion", why: "exclusion constraints do not exist", matches: constraintOf("CONSTR_EXCLUSION") },
  {
    name: "no-own-types",
    why: "enums, domains, ranges and composite types are not for us: text and a CHECK",
    matches: isOneOf(
      "CreateEnumStmt",
      "AlterEnumStmt",
      "CreateDomainStmt",
      "AlterDomainStmt",
      "CreateRangeStmt",
      "CompositeTypeStmt",
    ),
  },
  {
    name: "no-missing-types",
    why: "a type that does not exist there",
    matches: typeNamed(
      /^(?:(?:int4|int8|num|ts|tstz|date)(?:multi)?range|money|xml|hstore|cidr|macaddr8?|point|line|lseg|path|polygon|circle)$/,
    ),
  },
  {
    name: "no-partitions",
    why: "partitioning and inheritance are another thing there",
    matches: anyOf(
      isOneOf("PartitionSpec", "PartitionBoundSpec"),
      (type, node) => type === "CreateStmt" && asList(node["inhRelations"]).length > 0,
    ),
  },
  {
    name: "no-concurrent-index",
    why: "CONCURRENTLY cannot run in the migrator's transaction, and has no effect there: indexes are built online anyway",
    matches: (type, node) => (type === "IndexStmt" || type === "DropStmt") && node["concurrent"] === true,
  },
  {
    name: "no-other-indexes",
    why: "only btree and gin exist on both",
    matches: (type, node) =>
      type === "IndexStmt" && !["btree", "gin"].includes(String(node["accessMethod"] ?? "btree")),
  },
  {
    name: "no-deferrable",
    why: "constraints cannot be deferred",
    matches: anyOf(
      (type, node) => type === "Constraint" && (node["deferrable"] === true || node["initdeferred"] === true),
      constraintOf("CONSTR_ATTR_DEFERRABLE"),
      constraintOf("CONSTR_ATTR_DEFERRED"),
      isOneOf("ConstraintsSetStmt"),
    ),
  },
  {
    name: "no-expression-arbiter",
    why: "ON CONFLICT names columns: an expression is not taken",
    matches: (type, node) =>
      type === "InferClause" &&
      asList(node["indexElems"]).some((element) => asNode(element["IndexElem"])["expr"] !== undefined),
  },
  {
    name: "no-bare-division",
    why: "an integer divided by an integer is a decimal there: cast an operand to numeric, or divide in the program",
    matches: isBareDivision,
  },
  {
    name: "no-cursors",
    why: "one portal at a time can be open on a connection",
    matches: isOneOf("DeclareCursorStmt", "FetchStmt", "ClosePortalStmt"),
  },
  {
    name: "no-table-locks",
    why: "LOCK TABLE does not exist: SERIALIZABLE makes it needless",
    matches: isOneOf("LockStmt"),
  },
  {
    name: "no-missing-statements",
    why: "a statement or clause that does not exist there",
    matches: anyOf(
      isOneOf("MergeStmt", "VacuumStmt", "RangeTableSample", "GroupingSet"),
      (type, node) => type === "TransactionStmt" && /PREPARE|PREPARED/.test(String(node["kind"])),
      (type, node) => type === "CopyStmt" && node["is_from"] !== true,
    ),
  },
  {
    name: "no-system-columns",
    why: "ctid, xmin and their like are PostgreSQL's own",
    matches: (type, node) => type === "ColumnRef" && /^(?:ctid|xmin|xmax|cmin|cmax)$/.test(lastName(node["fields"])),
  },
  {
    name: "no-server-functions",
    why: "a function of PostgreSQL's own machinery",
    matches: callOf(
      /^(?:txid_|pg_current_(?:xact|wal|snapshot)|pg_export_snapshot|pg_backend_pid|lo_|pg_cancel_|pg_terminate_)/,
    ),
  },
  {
    name: "known-isolation",
    why: "transactions are SERIALIZABLE, or READ COMMITTED where they lock their rows (decision 17)",
    matches: (type, node) =>
      type === "DefElem" &&
      node["defname"] === "transaction_isolation" &&
      !ISOLATIONS.has(String(asNode(asNode(asNode(node["arg"])["A_Const"])["sval"])["sval"]).toLowerCase()),
  },
  {
    name: "one-write-a-table",
    why: "two parts of one statement may not write the same table",
    matches: (type, node) =>
      node["withClause"] !== undefined && writesTwice(WRITES.includes(type) ? [tableOf(node)] : [], node),
  },
  {
    name: "one-change-a-statement",
    why: "schema changes run one after the other there: one change a statement",
    isForMigrations: true,
    matches: (type, node) => type === "AlterTableStmt" && asList(node["cmds"]).length > 1,
  },
  {
    name: "no-type-change",
    why: "a column's type cannot be changed inside a transaction: add a column, copy, and drop the old one later",
    isForMigrations: true,
    matches: (type, node) => type === "AlterTableCmd" && node["subtype"] === "AT_AlterColumnType",
  },
];

const WRITES = ["InsertStmt", "UpdateStmt", "DeleteStmt"];

const tableOf = (write: SqlNode): string => String(asNode(write["relation"])["relname"]);

function writesTwice(own: readonly string[], node: SqlNode): boolean {
  const tables = [...own];
  for (const cte of asList(asNode(node["withClause"])["ctes"])) {
    for (const [type, part] of walkSql(asNode(asNode(cte["CommonTableExpr"])["ctequery"]))) {
      if (WRITES.includes(type)) tables.push(tableOf(part));
    }
  }
  return new Set(tables).size < tables.length;
}

const FRACTIONAL = /^(?:numeric|decimal|float[48]|real|double precision|interval)$/;

/** `a / b` where nothing in sight makes it a division of fractions. */
function isBareDivision(type: string, node: SqlNode): boolean {
  if (type !== "A_Expr" || node["kind"] !== "AEXPR_OP" || lastName(node["name"]) !== "/") return false;
  return ![node["lexpr"], node["rexpr"]].some((operand) => {
    const cast = asNode(asNode(operand)["TypeCast"]);
    const typeNames = asNode(cast["typeName"])["names"];
    const constant = asNode(asNode(operand)["A_Const"]);
    return FRACTIONAL.test(lastName(typeNames)) || constant["fval"] !== undefined;
  });
}
