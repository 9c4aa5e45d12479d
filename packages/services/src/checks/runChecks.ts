import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { CheckResult } from "./checkBooks.ts";
import { checkBooks } from "./checkBooks.ts";

/**
 * The hourly check: books that do not balance are logged as errors, one line a broken claim, so that an alarm on the log
 * level is an alarm on the money.
 */
export async function runChecks({ ctx }: { readonly ctx: ServiceContext }): Promise<CheckResult[]> {
  requireService(ctx);
  const results = await checkBooks({ ctx });
  for (const { check, claim, ok, differences } of results) {
    if (!ok) ctx.logger.error({ check, differences: differences.slice(0, 5) }, `The books do not balance: ${claim}`);
  }
  return results;
}
