import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Database } from "./database.ts";

const journalSchema = z.object({ entries: z.array(z.object({ tag: z.string(), when: z.int() })) });

/** The migrations of this code that a database has not had yet, oldest first, by name. */
export async function findPendingMigrations(database: Database): Promise<string[]> {
  const journal = await readFile(new URL("../migrations/meta/_journal.json", import.meta.url), "utf8");
  const { entries } = journalSchema.parse(JSON.parse(journal));
  const [table] = await database.sql<{ name: string | null }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'drizzle' and table_name = '__drizzle_migrations'`;
  if (table === undefined) return entries.map((entry) => entry.tag);
  // The migrator applies in the order of `when` and records it as created_at.
  const [applied] = await database.sql<{ last: string | null }[]>`
    select max(created_at)::text as last from drizzle.__drizzle_migrations`;
  const last = Number(applied?.last ?? Number.NEGATIVE_INFINITY);
  return entries.filter((entry) => entry.when > last).map((entry) => entry.tag);
}
