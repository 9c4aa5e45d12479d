import type { Database } from "@tollgate/db";
import { retryRead } from "@tollgate/db";

/** How far each of some sources has been folded; a source that is not known yet stands at 0. */
export async function readFoldedMarks(database: Database, sources: readonly string[]): Promise<Map<string, number>> {
  const rows = await retryRead(
    () => database.sql`select source, folded_through from usage_sources where source = any(${[...sources]})`,
    2,
  );
  const marks = new Map(sources.map((source) => [source, 0]));
  for (const row of rows) marks.set(String(row["source"]), Number(row["folded_through"]));
  return marks;
}
