import { readFile } from "node:fs/promises";
import type { SqlFinding } from "@tollgate/db/lint";
import { createSqlLinter } from "@tollgate/db/lint";
import postgres from "postgres";

/**
 * Every statement that the product executes while the suite runs, whichever process and whichever driver it came
 * through, read from the server's own log. A session that has no name of its own is not the product's: migrations (they
 * are linted as files) and the suite's own errands use the driver's default name.
 */
const MARK = "tollgate-statement";
const DRIVER_NAME = "postgres.js";

/** Makes a server of ours write every statement to its log, without the parameters, under the session's name. */
export async function logStatements(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, fetch_types: false, onnotice: () => undefined });
  try {
    await sql.unsafe(`alter system set log_line_prefix = '${MARK} %a|'`);
    await sql`alter system set log_parameter_max_length = 0`;
    await sql`alter system set log_statement = 'all'`;
    await sql`select pg_reload_conf()`;
  } finally {
    await sql.end();
  }
}

/** The distinct statements in a log. */
export function readStatements(log: string): string[] {
  const statements = new Set<string>();
  const entries = log.split(new RegExp(`^${MARK} `, "m"));
  for (const entry of entries) {
    const match = /^(.*?)\|LOG: {2}(?:statement|execute [^:]+): ([\s\S]*)$/.exec(entry);
    if (match?.[1] === undefined || match[2] === undefined || match[1] === DRIVER_NAME) continue;
    // The server indents the lines that follow the first with a tab.
    statements.add(match[2].replaceAll("\n\t", "\n").trim());
  }
  return [...statements];
}

/** @throws Error that names every statement of the log that would do something else on CockroachDB */
export async function assertPortable(logFile: string): Promise<void> {
  const lint = await createSqlLinter();
  const findings = readStatements(await readFile(logFile, "utf8")).flatMap((sql) => lint(sql, "statement"));
  if (findings.length === 0) return;
  throw new Error(`The suite executed SQL that CockroachDB lacks or treats otherwise:\n${describe(findings)}`);
}

const describe = (findings: readonly SqlFinding[]): string =>
  [...new Set(findings.map(({ rule, why, statement }) => `  ${rule}: ${why}\n    ${statement}`))].join("\n");
