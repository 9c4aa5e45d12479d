import type { Database } from "@tollgate/db";
import { createDatabase, migrateDatabase } from "@tollgate/db";
import { seedTiers } from "@tollgate/services/billing";
import { reserveConnection } from "../reserveConnection.ts";
import { contextOf } from "./identityContext.ts";

const KEYS_PER_PROJECT = 10;

/** A database of its own on the server that a URL leads to, with the product's schema and its tiers. */
export async function createOwnDatabase(serverUrl: string, name: string): Promise<string> {
  const admin = createDatabase({ url: serverUrl, applicationName: "bench", connectionsMax: 1 });
  await admin.sql.unsafe(`create database ${name}`);
  await admin.close();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await migrateDatabase(url.href);
  const database = createDatabase({ url: url.href, applicationName: "bench", connectionsMax: 1 });
  await seedTiers({ ctx: contextOf(database, { kind: "system", task: "bench" }) });
  await database.close();
  return url.href;
}

export const emailAt = (index: number): string => `person-${String(index).padStart(7, "0")}@example.test`;
export const keyHashAt = (index: number): string => `hash-of-key-${index}`;
export const projectIdAt = (index: number): string => `prj_bench${String(index).padStart(10, "0")}`;

/** So many customers and as many keys, ten to a project, in a few statements. Times are random, as ids are. */
export async function seedPeople(database: Database, people: number): Promise<void> {
  const projects = people / KEYS_PER_PROJECT;
  // More than a statement may take otherwise.
  const seeding = await reserveConnection(database);
  try {
    await seeding`
      insert into customers (id, email, status, created_at, updated_at)
      select 'cus_bench' || lpad(n::text, 10, '0'), 'person-' || lpad(n::text, 7, '0') || '@example.test', 'verified', t, t
      from generate_series(1, ${people}::int) n,
        lateral (select date_trunc('milliseconds', now() - random() * n / n * interval '700 days') as t) at`;
    await seeding`
      insert into billing_accounts (id, name, tier_id, created_at, updated_at)
      select 'ba_bench' || lpad(n::text, 10, '0'), 'Bench', 'free', now(), now()
      from generate_series(1, ${projects}::int) n`;
    await seeding`
      insert into projects (id, name, billing_account_id, created_at, updated_at)
      select 'prj_bench' || lpad(n::text, 10, '0'), 'Bench', 'ba_bench' || lpad(n::text, 10, '0'), now(), now()
      from generate_series(1, ${projects}::int) n`;
    await seeding`
      insert into project_members (project_id, customer_id, role, created_at)
      select 'prj_bench' || lpad(((n - 1) / ${KEYS_PER_PROJECT}::int + 1)::text, 10, '0'),
        'cus_bench' || lpad(n::text, 10, '0'), 'owner', now()
      from generate_series(1, ${people}::int) n`;
    await seeding`
      insert into keys
        (id, project_id, name, hash, start, mode, status, scopes, root_key_id, created_by, created_at, updated_at)
      select id, 'prj_bench' || lpad(((n - 1) / ${KEYS_PER_PROJECT}::int + 1)::text, 10, '0'), 'default',
        'hash-of-key-' || n, 'tg_live_0123', 'live', 'active', '["*"]', id, 'bench', now(), now()
      from generate_series(1, ${people}::int) n, lateral (select 'key_bench' || lpad(n::text, 10, '0') as id) i`;
    await seeding`vacuum analyze`;
  } finally {
    seeding.release();
  }
}
