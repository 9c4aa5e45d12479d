import type { Db } from "./database.ts";

/**
 * A query that drizzle builds once per pool instead of once per call, for reads that every page makes. Values are
 * placeholders: `prepareQuery((db) => db.select()….where(eq(id, sql.placeholder("id"))).prepare("name"))`.
 */
export function prepareQuery<Query>(build: (db: Db) => Query): (db: Db) => Query {
  const byPool = new WeakMap<Db, Query>();
  return (db) => {
    const known = byPool.get(db);
    if (known !== undefined) return known;
    const built = build(db);
    byPool.set(db, built);
    return built;
  };
}
