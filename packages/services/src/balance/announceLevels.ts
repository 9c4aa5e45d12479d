import { balanceExhausted, balanceLow } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { toMicros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const WALLETS_PER_TRANSACTION = 500;

interface Crossing extends Record<string, unknown> {
  readonly id: string;
  readonly available: string;
  readonly threshold: string | null;
  readonly was_low: boolean;
  readonly was_exhausted: boolean;
}

/**
 * The sweep of wallets that have run low or empty since the last look, and of those that have recovered. What is compared
 * with what was announced is what is owned, without what calls in flight hold, which comes and goes. One firing for each
 * crossing: the announcement and the memory of it are one transaction.
 */
export async function announceLevels({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<{ readonly announced: number }> {
  requireService(ctx);
  let announced = 0;
  for (let found = WALLETS_PER_TRANSACTION; found === WALLETS_PER_TRANSACTION; ) {
    const page = await withTransaction(ctx, announcePage, { isIdempotent: true });
    announced += page.announced;
    found = page.found;
  }
  return { announced };
}

async function announcePage(ctx: ServiceContext): Promise<{ found: number; announced: number }> {
  const owned = sql`b.limit_amount + b.overdraft - b.used`;
  const isLow = sql`(l.threshold_micros is not null and ${owned} < l.threshold_micros)`;
  const rows = await ctx.db.execute<Crossing>(sql`
    select b.billing_account_id as id, ${owned} as available, l.threshold_micros as threshold,
      coalesce(l.is_low, false) as was_low, coalesce(l.is_exhausted, false) as was_exhausted
    from budgets as b left join balance_levels as l on l.billing_account_id = b.billing_account_id
    where b.kind = 'wallet' and (
      coalesce(l.is_low, false) <> ${isLow}
      or (coalesce(l.is_exhausted, false) <> (${owned} <= 0)
        -- A wallet that never held anything has not run out of it.
        and exists (select 1 from grants as g where g.billing_account_id = b.billing_account_id)))
    limit ${WALLETS_PER_TRANSACTION}`);
  let announced = 0;
  const levels = rows.map((row) => {
    const available = BigInt(row.available);
    const threshold = row.threshold === null ? null : BigInt(row.threshold);
    return {
      row,
      available,
      threshold,
      isLow: threshold !== null && available < threshold,
      isExhausted: available <= 0n,
    };
  });
  for (const { row, available, threshold, isLow, isExhausted } of levels) {
    const about = { billingAccountId: row.id, available: available.toString() };
    if (isLow && !row.was_low) await appendEvent(ctx, balanceLow, { ...about, threshold: String(threshold) });
    if (isExhausted && !row.was_exhausted) await appendEvent(ctx, balanceExhausted, about);
    announced += Number(isLow && !row.was_low) + Number(isExhausted && !row.was_exhausted);
  }
  if (levels.length > 0) {
    const updatedAt = ctx.clock.now();
    await ctx.db
      .insert(schema.balanceLevels)
      .values(
        levels.map(({ row, threshold, isLow, isExhausted }) => ({
          billingAccountId: row.id,
          thresholdMicros: threshold === null ? null : toMicros(threshold),
          isLow,
          isExhausted,
          updatedAt,
        })),
      )
      .onConflictDoUpdate({
        target: schema.balanceLevels.billingAccountId,
        set: { isLow: sql`excluded.is_low`, isExhausted: sql`excluded.is_exhausted`, updatedAt },
      });
  }
  return { found: rows.length, announced };
}
