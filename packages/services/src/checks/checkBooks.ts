import { withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import type { BookCheck } from "./bookChecks.ts";
import { BOOK_CHECKS, DIFFERENCES_MAX } from "./bookChecks.ts";

/** One place where two amounts that must be equal are not. Amounts are decimal strings. */
export interface Difference {
  readonly subject: string;
  readonly left: string;
  readonly right: string;
}

export interface CheckResult {
  readonly check: BookCheck["name"];
  /** What must be true. */
  readonly claim: string;
  readonly ok: boolean;
  /** The first differences by subject, at most 50. */
  readonly differences: Difference[];
}

/**
 * Compares everything in the books that must be equal, in one snapshot of the database, so that calls may go on
 * meanwhile. It reads and changes nothing. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function checkBooks({ ctx }: { readonly ctx: ServiceContext }): Promise<CheckResult[]> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const results: CheckResult[] = [];
      for (const check of BOOK_CHECKS) {
        const rows = await ctx.db.execute<{ subject: string; left_amount: string; right_amount: string }>(
          sql`${check.differences(ctx.clock.now())} order by subject limit ${DIFFERENCES_MAX}`,
        );
        const differences = rows.map((row) => ({
          subject: String(row.subject),
          left: String(row.left_amount),
          right: String(row.right_amount),
        }));
        results.push({ check: check.name, claim: check.claim, ok: differences.length === 0, differences });
      }
      return results;
    },
    { isIdempotent: true },
  );
}
