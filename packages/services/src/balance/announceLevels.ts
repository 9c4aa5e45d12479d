import { balanceExhausted, balanceLow } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

const WALLETS_PER_TRANSACTION = 500;

interface Crossing extends Record<string, unknown> {
  readonly id: string;
  readonly available: string;
  readonly threshold: string;
  readonly is_low: boolean;
  readonly is_exhausted: boolean;
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
  const byDefault = ctx.settings.lowBalanceMicros.toString();
  const owned = sql`b.limit_amount + b.overdraft - b.used`;
  const threshold = sql`coalesce(l.threshold_micros, ${byDefault}::int8)`;
  const rows = await ctx.db.execute<Crossing>(sql`
    select w.*
    from (
      select b.billing_account_id as id, ${owned} as available, ${threshold} as threshold,
        coalesce(l.is_low, false) as was_low, coalesce(l.is_exhausted, false) as was_exhausted,
        ${owned} < ${threshold} and (${threshold} > 0) and (l.threshold_micros is not null
          -- Without a threshold of its own, an account that never had as much has not fallen below it.
          or coalesce(l.is_low, false)
          or (select sum(g.amount_micros) from grants as g where g.billing_account_id = b.billing_account_id)
            >= ${byDefault}::int8) as is_low,
        ${owned} <= 0 and (coalesce(l.is_exhausted, false)
          -- A wallet that never held anything has not run out of it.
          or exists (select 1 from grants as g where g.billing_account_id = b.billing_account_id)) as is_exhausted
      from budgets as b left join balance_levels as l on l.billing_account_id = b.billing_account_id
      where b.kind = 'wallet'
    ) as w
    where w.is_low <> w.was_low or w.is_exhausted <> w.was_exhausted
    limit ${WALLETS_PER_TRANSACTION}`);
  let announced = 0;
  for (const row of rows) {
    const about = { billingAccountId: row.id, available: row.available };
    const isNewlyLow = row.is_low && !row.was_low;
    const isNewlyExhausted = row.is_exhausted && !row.was_exhausted;
    if (isNewlyLow) await appendEvent(ctx, balanceLow, { ...about, threshold: row.threshold });
    if (isNewlyExhausted) await appendEvent(ctx, balanceExhausted, about);
    announced += Number(isNewlyLow) + Number(isNewlyExhausted);
  }
  if (rows.length > 0) {
    const updatedAt = ctx.clock.now();
    await ctx.db
      .insert(schema.balanceLevels)
      .values(
        rows.map((row) => ({
          billingAccountId: row.id,
          isLow: row.is_low,
          isExhausted: row.is_exhausted,
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
