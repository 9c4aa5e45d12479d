import { schema, withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { CheckResult } from "./checkBooks.ts";
import { checkBooks } from "./checkBooks.ts";

/**
 * The hourly check: how it went stays for operators to read, and books that do not balance are logged as errors, one line a
 * broken claim, so that an alarm on the log level is an alarm on the money.
 */
export async function runChecks({ ctx }: { readonly ctx: ServiceContext }): Promise<CheckResult[]> {
  requireService(ctx);
  const results = await checkBooks({ ctx });
  for (const { check, claim, ok, differences } of results) {
    if (!ok) ctx.logger.error({ check, differences: differences.slice(0, 5) }, `The books do not balance: ${claim}`);
  }
  await withTransaction(ctx, (ctx) => recordRuns(ctx, results), { isIdempotent: true });
  return results;
}

async function recordRuns(ctx: ServiceContext, results: readonly CheckResult[]): Promise<void> {
  const { checkRuns } = schema;
  const ranAt = ctx.clock.now();
  const runs = results.map(({ check, ok, differences }) => ({
    check,
    ok,
    differences,
    ranAt,
    brokenSince: ok ? null : ranAt,
  }));
  await ctx.db
    .insert(checkRuns)
    .values(runs)
    .onConflictDoUpdate({
      target: checkRuns.check,
      set: {
        ok: sql`excluded.ok`,
        differences: sql`excluded.differences`,
        ranAt: sql`excluded.ran_at`,
        brokenSince: sql`case when excluded.ok then null else coalesce(${checkRuns.brokenSince}, excluded.broken_since) end`,
      },
    });
}
