import { randomBase62 } from "@tollgate/kernel";
import type { Sql } from "postgres";
import postgres from "postgres";
import type { TestRun } from "./testRun.ts";
import { testUrls } from "./testRun.ts";

/** A database that belongs to one suite. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

const TEMPLATE_LOCK = 7_401_553;
const PREFIX = "tollgate_test";

/**
 * A fresh database with the product's schema. On PostgreSQL it is a copy of a template that the first suite of the run
 * migrates; CockroachDB has no templates, so there the migrations run each time.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const run = testUrls();
  const name = `${PREFIX}_${run.id}_${randomBase62(10).toLowerCase()}`;
  const url = withDatabase(run.databaseUrl, name);
  await asAdmin(run, async (sql, isCockroach) => {
    if (isCockroach) {
      await sql.unsafe(`create database ${name}`);
      await migrate(url);
    } else {
      const template = await requireTemplate(sql, run);
      // Copying the files is twice as fast as writing the pages through the log.
      await sql.unsafe(`create database ${name} template ${template} strategy file_copy`);
    }
  });
  return {
    url,
    drop: () =>
      asAdmin(run, async (sql, isCockroach) => {
        await sql.unsafe(`drop database if exists ${name} ${isCockroach ? "cascade" : "with (force)"}`);
      }),
  };
}

/** Drops whatever databases a run left on a server that outlives it. */
export async function dropRunDatabases(run: TestRun): Promise<void> {
  await asAdmin(run, async (sql, isCockroach) => {
    const names = await sql<
      { datname: string }[]
    >`select datname from pg_database where datname like ${`${PREFIX}\\_${run.id}\\_%`}`;
    for (const { datname } of names) {
      await sql.unsafe(`drop database if exists ${datname} ${isCockroach ? "cascade" : "with (force)"}`);
    }
  });
}

/** Makes the template once; suites in other processes wait for it on an advisory lock. */
async function requireTemplate(sql: Sql, run: TestRun): Promise<string> {
  const template = `${PREFIX}_${run.id}_template`;
  await sql`select pg_advisory_lock(${TEMPLATE_LOCK})`;
  try {
    const [ready] = await sql`select 1 from pg_database where datname = ${template}`;
    if (ready) return template;
    // Renamed when it is whole, so that a failed migration is not mistaken for a template by the next suite.
    const draft = `${template}_draft`;
    await sql.unsafe(`drop database if exists ${draft} with (force)`);
    await sql.unsafe(`create database ${draft}`);
    await migrate(withDatabase(run.databaseUrl, draft));
    await sql.unsafe(`alter database ${draft} rename to ${template}`);
    return template;
  } finally {
    await sql`select pg_advisory_unlock(${TEMPLATE_LOCK})`;
  }
}

async function migrate(url: string): Promise<void> {
  // Loaded here, because the database package's own tests depend on this package.
  const { migrateDatabase } = await import("@tollgate/db");
  await migrateDatabase(url);
}

async function asAdmin(run: TestRun, work: (sql: Sql, isCockroach: boolean) => Promise<void>): Promise<void> {
  const sql = postgres(run.databaseUrl, { max: 1, fetch_types: false, onnotice: () => undefined });
  try {
    const [row] = await sql<{ version: string }[]>`select version()`;
    await work(sql, row?.version.includes("CockroachDB") ?? false);
  } finally {
    await sql.end();
  }
}

function withDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.toString();
}
