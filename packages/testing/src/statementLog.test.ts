import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assertPortable, readStatements } from "./statementLog.ts";

const LOG = `2026-11-22 12:00:00 UTC [1] LOG:  database system is ready
tollgate-statement |LOG:  received SIGHUP, reloading configuration files
tollgate-statement gateway gw_1|LOG:  execute s1: select a
\t    from t where id = $1
tollgate-statement gateway gw_1|LOG:  execute s1: select a
\t    from t where id = $1
tollgate-statement workers|LOG:  statement: begin
tollgate-statement postgres.js|LOG:  execute <unnamed>: select pg_advisory_lock($1)
tollgate-statement workers|ERROR:  could not serialize access
tollgate-statement workers|STATEMENT:  select b
tollgate-statement tollgate-api|LOG:  execute <unnamed>: select 'x: y|z'
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "tollgate-statements-"));
});
afterAll(() => rm(directory, { recursive: true }));
const write = async (log: string): Promise<string> => {
  const file = path.join(directory, "postgres.log");
  await writeFile(file, log);
  return file;
};

test("the statements of the product's sessions are read once each, with all their lines", async () => {
  expect(await readStatements(Readable.from(LOG.split("\n")))).toEqual([
    "select a\n    from t where id = $1",
    "begin",
    "select 'x: y|z'",
  ]);
});

test("a log of portable statements passes, and one that is not is named with its reason", async () => {
  await expect(assertPortable(await write(LOG))).resolves.toBeUndefined();
  const bad = `${LOG}tollgate-statement workers|LOG:  execute s9: update t set a = a / 2\n`;
  await expect(assertPortable(await write(bad))).rejects.toThrow(/no-bare-division[\s\S]*update t set a = a \/ 2/);
});
