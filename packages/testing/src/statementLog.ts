import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
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
const ENTRY = new RegExp(`^${MARK} (.*?)\\|LOG: {2}(?:statement|execute [^:]+): (.*)$`);

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

/** The distinct statements in the lines of a log; a log may be larger than memory should hold. */
export async function readStatements(lines: AsyncIterable<string>): Promise<string[]> {
  const statements = new Set<string>();
  let statement: string | undefined;
  const finish = (): void => {
    if (statement !== undefined) statements.add(statement.trim());
    statement = undefined;
  };
  for await (const line of lines) {
    // The server indents the lines that follow the first with a tab.
    if (line.startsWith("\t")) {
      if (statement !== undefined) statement += `\n${line.slice(1)}`;
      continue;
    }
    finish();
    const [, session, text] = ENTRY.exec(line) ?? [];
    if (session !== DRIVER_NAME) statement = text;
  }
  finish();
  return [...statements];
}

/** @throws Error that names every statement of the log that would do something else on CockroachDB */
export async function assertPortable(logFile: string): Promise<void> {
  const lint = await createSqlLinter();
  const statements = await readStatements(createInterface({ input: createReadStream(logFile) }));
  const findings = statements.flatMap((sql) => lint(sql, "statement"));
  if (findings.length === 0) return;
  throw new Error(`The suite executed SQL that CockroachDB lacks or treats otherwise:\n${describe(findings)}`);
}

const describe = (findings: readonly SqlFinding[]): string =>
  [...new Set(findings.map(({ rule, why, statement }) => `  ${rule}: ${why}\n    ${statement}`))].join("\n");
