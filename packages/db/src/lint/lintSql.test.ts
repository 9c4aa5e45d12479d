import { beforeAll, describe, expect, test } from "vitest";
import type { SqlLinter } from "./lintSql.ts";
import { createSqlLinter } from "./lintSql.ts";
import { SQL_RULES } from "./sqlRules.ts";

let lint: SqlLinter;
beforeAll(async () => {
  lint = await createSqlLinter();
});

/** For each rule, statements that break it and nothing else. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "no-sequences": [
    "create table t (id bigserial primary key)",
    "create table t (id serial4)",
    "create table t (id bigint generated always as identity)",
    "create sequence s",
    "select nextval('s')",
    "insert into t (id) overriding system value values (1)",
  ],
  "no-advisory-locks": ["select pg_advisory_lock(1)", "select pg_catalog.pg_try_advisory_xact_lock($1)"],
  "no-notify": ["listen wake", "notify wake", "unlisten *", "select pg_notify('wake', $1)"],
  "no-server-code": [
    "create function f() returns int language sql as 'select 1'",
    "do $$ begin end $$",
    "create trigger g after insert on t for each row execute function f()",
    "create rule r as on insert to t do nothing",
    "create extension pgcrypto",
    "create aggregate a (int) (sfunc = f, stype = int)",
    "call p()",
  ],
  "no-temporary-tables": ["create temp table t (a text)", "create unlogged table t (a text)"],
  "no-exclusion": ["create table t (a text, exclude using gist (a with =))"],
  "no-own-types": [
    "create type colour as enum ('red')",
    "alter type colour add value 'blue'",
    "create domain positive as bigint check (value > 0)",
    "create type span as range (subtype = int8)",
    "create type pair as (a text, b text)",
  ],
  "no-missing-types": ["create table t (a tstzrange)", "select $1::money", "create table t (a cidr)"],
  "no-partitions": [
    "create table t (a text) partition by list (a)",
    "create table t1 partition of t for values in ('a')",
    "create table child (b text) inherits (parent)",
  ],
  "no-concurrent-index": ["create index concurrently i on t (a)", "drop index concurrently i"],
  "no-other-indexes": ["create index i on t using brin (a)", "create index i on t using hash (a)"],
  "no-deferrable": [
    "create table t (a text references u (a) deferrable initially deferred)",
    "alter table t add constraint c foreign key (a) references u (a) deferrable",
    "set constraints all deferred",
  ],
  "no-expression-arbiter": ["insert into t (a) values ($1) on conflict (lower(a)) do nothing"],
  "no-bare-division": [
    "select a / 2 from t",
    "update t set a = a / b",
    "select sum(a) / count(*) from t",
    "select 7 / 2",
  ],
  "no-cursors": ["declare c cursor for select 1", "fetch 10 from c", "close c"],
  "no-table-locks": ["lock table t in exclusive mode"],
  "no-missing-statements": [
    "merge into t using u on t.a = u.a when matched then delete",
    "vacuum t",
    "select a from t tablesample system (10)",
    "select a, sum(b) from t group by rollup (a)",
    "prepare transaction 'x'",
    "copy t to stdout",
  ],
  "no-system-columns": ["select ctid from t", "select t.xmin from t"],
  "no-server-functions": ["select txid_current()", "select pg_backend_pid()", "select pg_current_wal_lsn()"],
  "known-isolation": [
    "begin isolation level repeatable read",
    "set transaction isolation level repeatable read",
    "set session characteristics as transaction isolation level repeatable read",
  ],
  "one-write-a-table": [
    "with a as (update t set x = 1 returning x), b as (delete from t returning x) select * from a, b",
    "with gone as (delete from t where a = 1 returning a) insert into t (a) select a from gone",
  ],
  "one-change-a-statement": ["alter table t add column a text, add column b text"],
  "no-type-change": ["alter table t alter column a type text"],
  parses: ["select * from t as of system time $1", "create table t (a text) locality regional"],
};

const samples = Object.entries(REFUSED).flatMap(([rule, statements]) => statements.map((sql) => ({ rule, sql })));

test.each(samples)("$rule refuses: $sql", ({ rule, sql }) => {
  expect(lint(sql, "migration").map((finding) => finding.rule)).toEqual([rule]);
});

test("every rule has a statement that breaks it", () => {
  expect(Object.keys(REFUSED).sort()).toEqual([...SQL_RULES.map((rule) => rule.name), "parses"].sort());
});

describe("what both engines do alike passes", () => {
  test.each([
    "create table t (id text primary key, n bigint not null, data jsonb, check (n >= 0))",
    "create index t_open_idx on t using btree (a, b) where closed_at is null",
    "alter table t add constraint c foreign key (a) references u (a)",
    "insert into t as x (a) values ($1) on conflict (a) where b is null do update set a = excluded.a",
    "update t set a = 1 where id in (select id from t limit 5 for update skip locked) returning id",
    "select sum(a)::numeric / count(*) from t",
    "select a / 2.5, a::float8 / b from t",
    "copy t (a, b) from stdin",
    "with moved as (delete from t returning a) insert into u (a) select a from moved",
    "begin isolation level serializable",
    "begin isolation level read committed",
    "select 'a / b', \"serial\" from t",
  ])("%s", (sql) => {
    expect(lint(sql, "statement")).toEqual([]);
  });
});

test("rules for schema changes do not judge what the suite executes", () => {
  expect(lint("alter table t add column a text, add column b text", "statement")).toEqual([]);
});

test("a finding says how the statement begins and where it stands, comments and wide characters aside", () => {
  const sql = "create table ü (a text);\n\n-- the second\nselect a\n  / 2 from t;\nselect 1";
  expect(lint(sql, "statement")).toEqual([
    expect.objectContaining({ rule: "no-bare-division", statement: "select a / 2 from t", line: 4 }),
  ]);
});
