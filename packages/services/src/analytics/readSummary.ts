import type { AnalyticsSummary, analyticsSummaryInput } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import { scaleMicrosRoundedDown, sumMicros, toMicros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import { REFUNDS_ACCOUNT, REVENUE_ACCOUNT } from "../balance/internal.ts";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";

/**
 * How the business goes, in one snapshot. Money is what the ledger says: revenue is what was booked as such, and credit
 * outstanding is what wallets hold above zero after the calls that are not settled yet. What recurs is what the subscriptions
 * that are active cost by the month, each at its own price at Stripe: a tier that costs something else by now changes those
 * who come. The product's own accounts count for nothing.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function readSummary({
  ctx,
  input,
}: Verb<z.output<typeof analyticsSummaryInput>>): Promise<AnalyticsSummary> {
  requireAdmin(ctx);
  const from = sql`${input.from.toISOString()}::timestamptz`;
  const to = sql`${input.to.toISOString()}::timestamptz`;
  return withTransaction(
    ctx,
    async ({ db }) => {
      const one = async (query: ReturnType<typeof sql>): Promise<Readonly<Record<string, unknown>>> =>
        (await db.execute<Record<string, unknown>>(query))[0] ?? {};
      const people = await one(sql`
        select count(*) as n from customers
        where created_at >= ${from} and created_at < ${to} and status <> 'unverified' and not is_internal`);
      const usage = await one(sql`
        select count(distinct u.project_id) as projects,
               coalesce(sum(u.calls) filter (where u.status < 500), 0) as calls
        from usage_hourly as u join billing_accounts as b on b.id = u.billing_account_id
        where u.hour >= ${from} and u.hour < ${to} and u.mode = 'live' and not b.is_internal`);
      const revenue = await one(sql`
        select coalesce(sum(e.amount_micros), 0) as micros
        from ledger_entries as e
        join ledger_transactions as t on t.id = e.transaction_id
        join billing_accounts as b on b.id = t.billing_account_id
        where e.account in (${REVENUE_ACCOUNT}, ${REFUNDS_ACCOUNT})
          and e.created_at >= ${from} and e.created_at < ${to} and not b.is_internal`);
      const recurring = await db.execute<{ price: string; months: string; n: string }>(sql`
        select coalesce(s.price_micros, t.monthly_price_micros) as price,
               case when s.price_micros is null then 1 else s.price_months end as months,
               count(*) as n
        from subscriptions as s
        join tiers as t on t.id = s.tier_id
        join billing_accounts as b on b.id = s.billing_account_id
        where s.status = 'active' and not b.is_internal
        group by 1, 2`);
      const outstanding = await one(sql`
        select coalesce(sum(w.limit_amount - w.used), 0) as micros
        from budgets as w join billing_accounts as b on b.id = w.billing_account_id
        where w.kind = 'wallet' and w.limit_amount > w.used and not b.is_internal`);
      return {
        from: input.from,
        to: input.to,
        signUps: Number(people["n"]),
        activeProjects: Number(usage["projects"]),
        calls: Number(usage["calls"]),
        revenueMicros: toMicros(BigInt(String(revenue["micros"]))),
        mrrMicros: sumMicros(recurring.map(perMonth)),
        creditOutstandingMicros: toMicros(BigInt(String(outstanding["micros"]))),
      };
    },
    { isIdempotent: true },
  );
}

/** Subscriptions of one price as micros a month. */
const perMonth = ({ price, months, n }: { readonly price: string; readonly months: string; readonly n: string }) =>
  scaleMicrosRoundedDown(toMicros(BigInt(price)), BigInt(n), BigInt(months));
