import type postgres from "postgres";
import { isSerializationConflict } from "./errorCodes.ts";
import type { Unsafe } from "./prepareStatements.ts";
import { prepareStatements } from "./prepareStatements.ts";
import { retryWhen } from "./retryWhen.ts";

/**
 * The pool's client, whose single statements run again when they lose against other transactions. A SERIALIZABLE read can
 * be cancelled as well as a write; a statement that is a transaction of its own was undone as a whole when the server says
 * so, so repeating it is always right. Statements inside a transaction do not come this way: only all of it can be repeated.
 */
export function retryConflicts(client: postgres.Sql): postgres.Sql {
  return new Proxy(client, {
    get(target, property) {
      if (property !== "unsafe") return Reflect.get(target, property);
      const unsafe = prepareStatements(target);
      return (...args: Parameters<Unsafe>) => retriedQuery(() => unsafe(...args));
    },
  });
}

/** What drizzle uses of the driver's query: it is awaited as it is, or for its rows as arrays. */
function retriedQuery(start: () => postgres.PendingQuery<postgres.Row[]>): unknown {
  return {
    // biome-ignore lint/suspicious/noThenProperty: the driver's query is a thenable that starts when it is awaited, and so is this.
    then: (...handlers: Parameters<Promise<unknown>["then"]>) =>
      retryWhen(isSerializationConflict, start).then(...handlers),
    values: () => retryWhen(isSerializationConflict, () => start().values()),
  };
}
