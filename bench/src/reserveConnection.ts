import type { Database } from "@tollgate/db";

/**
 * A connection for statements that may take as long as they like; to be released. The driver can reserve only a connection
 * that is open: reserving the first one of a pool never ends.
 */
export async function reserveConnection({ sql }: Database): Promise<Awaited<ReturnType<Database["sql"]["reserve"]>>> {
  await sql`select 1`;
  const reserved = await sql.reserve();
  await reserved`set statement_timeout = 0`;
  return reserved;
}
