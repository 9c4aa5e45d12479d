import { createSqlLinter } from "@tollgate/db/lint";
import type { Rule } from "../rule.ts";

/** Migrations mean the same on PostgreSQL and on CockroachDB, and say in their names what they do. */
export const migrations: Rule = {
  name: "migrations",
  async check(tree) {
    const lint = await createSqlLinter();
    return tree.matching(/^packages\/db\/migrations\/.*\.sql$/).flatMap((path) => {
      const findings = lint(tree.text(path), "migration").map(({ rule, why, statement, line }) => ({
        path,
        line,
        message: `${rule}: ${why} (${statement})`,
      }));
      if (/\/\d{4}_[a-z0-9]+(?:[-_][a-z0-9]+)+\.sql$/.test(path)) return findings;
      return [...findings, { path, message: "must be called NNNN_what-it-does.sql" }];
    });
  },
};
