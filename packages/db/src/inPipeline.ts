import { databaseErrorCode } from "./errorCodes.ts";

/** `in_failed_sql_transaction`: a statement before this one has failed. */
const ABORTED = "25P02";

/**
 * Waits for statements of one transaction that are on the wire together, because none needs another's answer. What it
 * throws is what went wrong: the statements behind the one that failed fail too, and may say so first.
 */
export async function inPipeline(statements: readonly PromiseLike<unknown>[]): Promise<void> {
  const failures: unknown[] = [];
  for (const outcome of await Promise.allSettled(statements)) {
    if (outcome.status === "rejected") failures.push(outcome.reason);
  }
  if (failures.length === 0) return;
  throw failures.find((failure) => databaseErrorCode(failure) !== ABORTED) ?? failures[0];
}
