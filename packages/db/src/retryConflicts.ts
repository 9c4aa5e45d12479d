import { delay, jitteredBackoffMs } from "@tollgate/kernel";
import type postgres from "postgres";
import { isSerializationConflict } from "./errorCodes.ts";
import type { Unsafe } from "./prepareStatements.ts";
import { prepareStatements } from "./prepareStatements.ts";

const ATTEMPTS_MAX = 15;
const BACKOFF_BASE_MS = 5;
const BACKOFF_CAP_MS = 500;

type Run = () => PromiseLike<unknown>;

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
    then: (...handlers: Parameters<Promise<unknown>["then"]>) => retry(start).then(...handlers),
    values: () => retry(() => start().values()),
  };
}

async function retry(run: Run): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX || !isSerializationConflict(error)) throw error;
      await delay(jitteredBackoffMs(attempt, BACKOFF_BASE_MS, BACKOFF_CAP_MS));
    }
  }
}
