export * from "./lintSql.ts";
export { SQL_RULES, type SqlRule } from "./sqlRules.ts";
