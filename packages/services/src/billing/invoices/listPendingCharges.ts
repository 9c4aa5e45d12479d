import type { PendingCharges, pendingChargesInput } from "@tollgate/contracts";
import { anchoredPeriod, toMicros } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { requireAccountAdmin, requireAdmin } from "../../permissions.ts";
import { gatherAccounts } from "./accountFacts.ts";
import { anchorOf } from "./closeDuePeriods.ts";

const ITEMS_MAX = 1_000;

/** What an account used that is on no invoice yet, posted or not. @throws TollgateError NOT_FOUND; UNAUTHORIZED, FORBIDDEN */
export async function listPendingCharges({
  ctx,
  input,
}: Verb<z.output<typeof pendingChargesInput>>): Promise<PendingCharges> {
  requireAdmin(ctx);
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const [account] = await gatherAccounts(ctx, [input.billingAccountId]);
  if (account === undefined) throw new Error("The account was there a moment ago");
  const anchor = anchorOf(account);
  const startMs = account.lastEnd?.getTime() ?? anchoredPeriod(account.createdAt.getTime(), anchor).startMs;
  const rows = await ctx.db.execute<{
    project: string;
    endpoint: string;
    price: string;
    units: string;
    amount: string;
  }>(sql`
    select project, endpoint, price, sum(units)::int8 as units, sum(amount)::int8 as amount
    from (
      select project_id as project, endpoint_id as endpoint, unit_price_micros as price, units - settled_units as units,
        amount_micros - settled_micros as amount
      from accruals where billing_account_id = ${account.id} and not is_settled
      union all
      select e.detail->>'projectId', e.detail->>'endpointId', (e.detail->>'unitPriceMicros')::int8,
        (e.detail->>'units')::int8, -e.amount_micros
      from ledger_entries as e
      where e.account = ${`wallet:${account.id}`} and e.detail is not null
        and e.created_at >= ${(account.lastEnd ?? new Date(0)).toISOString()}::timestamptz
        and not exists (select 1 from invoice_entries as x where x.transaction_id = e.transaction_id and x.line = e.line)
    ) as charges group by project, endpoint, price order by amount desc, project, endpoint, price`);
  const items = rows.map((row) => ({
    projectId: row.project,
    endpointId: row.endpoint,
    unitPriceMicros: toMicros(BigInt(row.price)),
    units: row.units,
    amountMicros: toMicros(BigInt(row.amount)),
  }));
  return {
    periodStart: new Date(startMs),
    periodEnd: new Date(anchoredPeriod(startMs, anchor).endMs),
    totalMicros: toMicros(items.reduce((sum, item) => sum + item.amountMicros, 0n)),
    items: items.slice(0, ITEMS_MAX),
  };
}
