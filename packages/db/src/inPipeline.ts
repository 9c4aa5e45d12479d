import { databaseErrorCode } from "./errorCodes.ts";

/** `in_failed_sql_transaction`: a statement before this one has failed. */
const ABORTED = "25P02";

/**
 * Waits for statements of one transaction that are on the wire together, because none needs another's answer. What it
 * throws is what went wrong: the statements behind the one that failed fail too, and may say so first.
 * @returns their answers
 */
export async function inPipeline<const Statements extends readonly PromiseLike<unknown>[]>(
  statements: Statements,
): Promise<{ -readonly [Each in keyof Statements]: Awaited<Statements[Each]> }> {
  const answers: unknown[] = [];
  const failures: unknown[] = [];
  for (const outcome of await Promise.allSettled(statements)) {
    if (outcome.status === "fulfilled") answers.push(outcome.value);
    else failures.push(outcome.reason);
  }
  if (failures.length > 0) throw failures.find((failure) => databaseErrorCode(failure) !== ABORTED) ?? failures[0];
  return answers as { -readonly [Each in keyof Statements]: Awaited<Statements[Each]> };
}
