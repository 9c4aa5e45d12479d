import type postgres from "postgres";
import { traceQuery } from "./traceQuery.ts";

/** How drizzle hands a statement to the driver. */
export type Unsafe = postgres.Sql["unsafe"];

/**
 * A client's `unsafe` that keeps every statement prepared on its connection. Drizzle asks for that only where a statement
 * was given a name; without it the server parses and plans each anew, and the driver waits for the description of its
 * parameters before it sends them: a round trip more. There are as many texts as the code has statements, and lists of
 * different lengths are few; a connection ends with its lifetime and forgets them.
 */
export function prepareStatements(client: Pick<postgres.Sql, "unsafe">): Unsafe {
  return <Rows extends postgres.MaybeRow[]>(...[text, parameters, options]: Parameters<Unsafe>) => {
    const query = client.unsafe<Rows>(text, parameters, { ...options, prepare: true });
    traceQuery(text, query);
    return query;
  };
}
