import { loadModule, parseSync, SqlError } from "libpg-query";
import type { SqlRule } from "./sqlRules.ts";
import { SQL_RULES } from "./sqlRules.ts";
import { asNode, walkSql } from "./sqlTree.ts";

const EXCERPT_CHARACTERS = 200;

/** A statement that would not do on CockroachDB what it does on PostgreSQL. */
export interface SqlFinding {
  readonly rule: string;
  readonly why: string;
  /** How the statement that has it begins. */
  readonly statement: string;
  /** Line of the statement in the text, from 1. */
  readonly line: number;
}

/** All findings in a text of one or more statements. A text that PostgreSQL does not parse is a finding, too. */
export type SqlLinter = (sql: string, scope: "migration" | "statement") => SqlFinding[];

/** Reads SQL as PostgreSQL itself does. The parser is a WebAssembly module, which takes a tenth of a second to load. */
export async function createSqlLinter(): Promise<SqlLinter> {
  await loadModule();
  return lint;
}

function lint(sql: string, scope: "migration" | "statement"): SqlFinding[] {
  const rules = SQL_RULES.filter((rule) => scope === "migration" || rule.isForMigrations !== true);
  let statements: readonly { stmt?: unknown; stmt_location?: number; stmt_len?: number }[];
  try {
    statements = parseSync(sql).stmts ?? [];
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return [{ rule: "parses", why: error.message, statement: excerpt(sql), line: 1 }];
  }
  const bytes = Buffer.from(sql);
  return statements.flatMap(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    const found = brokenRules(rules, stmt);
    if (found.length === 0) return [];
    // Positions count bytes, and a statement begins right after the semicolon before it, maybe with a comment.
    const text = bytes.subarray(start, length === undefined ? undefined : start + length).toString();
    const body = text.replace(/^(?:\s+|--[^\n]*\n)*/, "");
    const before = bytes.subarray(0, start).toString() + text.slice(0, text.length - body.length);
    const line = before.split("\n").length;
    return found.map(({ name, why }) => ({ rule: name, why, statement: excerpt(body), line }));
  });
}

function brokenRules(rules: readonly SqlRule[], statement: unknown): SqlRule[] {
  const nodes = [...walkSql(asNode(statement))];
  return rules.filter((rule) => nodes.some(([type, node]) => rule.matches(type, node)));
}

const excerpt = (sql: string): string => {
  const line = sql.trim().replace(/\s+/g, " ");
  return line.length > EXCERPT_CHARACTERS ? `${line.slice(0, EXCERPT_CHARACTERS)}…` : line;
};
