import { schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros, PeriodAnchor } from "@tollgate/kernel";
import { anchoredPeriod, localDate, newId, subtractMicros, sumMicros, toMicros, ZERO_MICROS } from "@tollgate/kernel";
import { and, eq, inArray, lt, sql } from "drizzle-orm";
import { hourCeiling, hourFloor, lockWallets } from "../../balance/internal.ts";
import { settleAccount } from "../../balance/settleAccount.ts";
import type { ServiceContext } from "../../context.ts";
import type { AccountFacts } from "./accountFacts.ts";
import { gatherAccounts } from "./accountFacts.ts";
import { announceInvoice, sellerOf } from "./internal.ts";
import { takeNumbers } from "./takeNumbers.ts";

export interface DuePeriod {
  readonly account: AccountFacts;
  readonly start: Date;
  readonly end: Date;
}

/**
 * The next period of an account, if it has ended by `at`, decided from facts alone. A period begins where the last invoice
 * ended, so whatever happens to the anchor, the time zone or the cadence in between, an account's periods tile. The hour
 * in which a period ends belongs to it, so it is closed when that hour is over.
 */
export function findDuePeriod(account: AccountFacts, at: Date): DuePeriod | undefined {
  const anchor = anchorOf(account);
  const startMs = account.lastEnd?.getTime() ?? anchoredPeriod(account.createdAt.getTime(), anchor).startMs;
  const { endMs } = anchoredPeriod(startMs, anchor);
  if (hourCeiling(endMs).getTime() > at.getTime()) return undefined;
  return { account, start: new Date(startMs), end: new Date(endMs) };
}

export const anchorOf = (account: AccountFacts): PeriodAnchor => ({
  date: account.periodAnchor ?? localDate(account.createdAt.getTime(), account.timeZone),
  cadence: account.cadence,
  timeZone: account.timeZone,
});

/**
 * Closes the next period of each account that has one which ended by `at`: usage of its hours is posted, and one
 * transaction for all of them makes the invoices out of the ledger's lines. Cut at any point and run again, or run in two
 * places at once, there is one invoice a period; lines that are posted later go to the next.
 * @returns how many periods were closed; fewer than one each when there was nothing left
 */
export async function closeDuePeriods(
  ctx: ServiceContext,
  billingAccountIds: readonly string[],
  at: Date,
): Promise<number> {
  const due = (await gatherAccounts(ctx, billingAccountIds)).flatMap((facts) => findDuePeriod(facts, at) ?? []);
  if (due.length === 0) return 0;
  await settleThrough(ctx, due);
  return withTransaction(ctx, (ctx) => closeInTransaction(ctx, due, at), { isIdempotent: true });
}

async function settleThrough(ctx: ServiceContext, due: readonly DuePeriod[]): Promise<void> {
  const { accruals } = schema;
  const before = hourFloor(ctx.clock.nowMs());
  const unsettled = await ctx.db
    .selectDistinct({ id: accruals.billingAccountId })
    .from(accruals)
    .where(
      and(
        inArray(
          accruals.billingAccountId,
          due.map(({ account }) => account.id),
        ),
        lt(accruals.hour, before),
        lt(accruals.settledMicros, accruals.amountMicros),
      ),
    );
  for (const { id } of unsettled) {
    let isComplete = false;
    while (!isComplete) {
      ({ isComplete } = await settleAccount({ ctx, input: { billingAccountId: id, before } }));
    }
  }
}

interface OpenInvoice extends DuePeriod {
  readonly id: string;
}

async function closeInTransaction(ctx: ServiceContext, due: readonly DuePeriod[], at: Date): Promise<number> {
  const wallets = await lockWallets(
    ctx,
    due.map(({ account }) => account.id),
  );
  const posted = new Map(wallets.map((row) => [row.billingAccountId, toMicros(row.limitAmount)]));
  // What was due may have been closed by another in the meantime; the wallets are locked now.
  const fresh = (await gatherAccounts(ctx, [...posted.keys()])).flatMap((facts) => findDuePeriod(facts, at) ?? []);
  if (fresh.length === 0) return 0;
  const open = await insertDrafts(ctx, fresh);
  await claimLines(ctx, open);
  const totals = await readTotals(ctx, open);
  await finalize(ctx, open, totals, posted);
  return open.length;
}

async function insertDrafts(ctx: ServiceContext, due: readonly DuePeriod[]): Promise<OpenInvoice[]> {
  const now = ctx.clock.now();
  const open = due.map((period) => ({ ...period, id: newId("invoice") }));
  await ctx.db.insert(schema.invoices).values(
    open.map(({ id, account, start, end }) => ({
      id,
      billingAccountId: account.id,
      kind: "usage" as const,
      status: "draft" as const,
      periodStart: start,
      periodEnd: end,
      timeZone: account.timeZone,
      currency: ctx.settings.currency ?? "usd",
      totalMicros: ZERO_MICROS,
      dueMicros: ZERO_MICROS,
      seller: sellerOf(ctx),
      customer: { name: account.name, address: account.address, taxId: account.taxId, email: account.invoiceEmail },
      createdAt: now,
      updatedAt: now,
    })),
  );
  return open;
}

/**
 * Puts every line of the ledger that is on no invoice yet and is of the period, or late from an earlier one, on the
 * invoice. Lines of a first invoice may be of any age; those of later ones were posted after the one before was closed.
 */
async function claimLines(ctx: ServiceContext, open: readonly OpenInvoice[]): Promise<void> {
  const ids = open.map((invoice) => invoice.id);
  const accounts = open.map((invoice) => `wallet:${invoice.account.id}`);
  const since = open.map((invoice) => (invoice.account.lastEnd === null ? new Date(0) : invoice.start).toISOString());
  const ends = open.map((invoice) => invoice.end.toISOString());
  await ctx.db.execute(sql`
    insert into invoice_entries (transaction_id, line, invoice_id)
    select e.transaction_id, e.line, p.invoice_id
    from unnest(${sql.param(ids)}::text[], ${sql.param(accounts)}::text[], ${sql.param(since)}::text[],
                ${sql.param(ends)}::text[]) as p (invoice_id, account, since, ends)
    join ledger_entries as e on e.account = p.account and e.created_at >= p.since::timestamptz
    where e.detail is not null and e.detail->>'hour' < p.ends
      and not exists (select 1 from invoice_entries as x where x.transaction_id = e.transaction_id and x.line = e.line)`);
  await ctx.db.execute(sql`
    insert into invoice_lines (invoice_id, line, description, project_id, endpoint_id, quantity, unit_price_micros,
                               amount_micros)
    select sums.invoice_id,
      row_number() over (partition by sums.invoice_id order by sums.project_id, sums.endpoint_id, sums.price),
      coalesce(a.display_name || ', ' || n.name, sums.endpoint_id), sums.project_id, sums.endpoint_id, sums.units,
      sums.price, sums.amount
    from (
      select x.invoice_id, e.detail->>'projectId' as project_id, e.detail->>'endpointId' as endpoint_id,
        (e.detail->>'unitPriceMicros')::int8 as price, sum((e.detail->>'units')::int8)::int8 as units,
        sum(-e.amount_micros)::int8 as amount
      from invoice_entries as x join ledger_entries as e on e.transaction_id = x.transaction_id and e.line = x.line
      where x.invoice_id = any(${sql.param(ids)}::text[])
      group by x.invoice_id, e.detail->>'projectId', e.detail->>'endpointId', (e.detail->>'unitPriceMicros')::int8
    ) as sums
    left join endpoints as n on n.id = sums.endpoint_id left join apis as a on a.id = n.api_id`);
}

async function readTotals(ctx: ServiceContext, open: readonly OpenInvoice[]): Promise<Map<string, Micros>> {
  const { invoiceLines } = schema;
  const rows = await ctx.db
    .select({ id: invoiceLines.invoiceId, total: sql<string>`sum(${invoiceLines.amountMicros})` })
    .from(invoiceLines)
    .where(
      inArray(
        invoiceLines.invoiceId,
        open.map((invoice) => invoice.id),
      ),
    )
    .groupBy(invoiceLines.invoiceId);
  return new Map(rows.map((row) => [row.id, toMicros(BigInt(row.total))]));
}

/**
 * What no credit paid for is due: the wallet's debt, less what earlier invoices ask for already, and never more than the
 * invoice itself.
 */
export function computeDue(facts: {
  readonly postedMicros: Micros;
  readonly dueAlreadyMicros: Micros;
  readonly totalMicros: Micros;
}): Micros {
  const owed = subtractMicros(toMicros(-facts.postedMicros), facts.dueAlreadyMicros);
  if (owed <= 0n) return ZERO_MICROS;
  return owed < facts.totalMicros ? owed : facts.totalMicros;
}

/** Whether what is due was lent by the account's tier, of now or of some time in the period, and is to be collected. */
const isLent = ({ account, start }: OpenInvoice): boolean =>
  account.overage === "invoice" || (account.lentAt !== null && account.lentAt > start);

async function finalize(
  ctx: ServiceContext,
  open: readonly OpenInvoice[],
  totals: ReadonlyMap<string, Micros>,
  posted: ReadonlyMap<string, Micros>,
): Promise<void> {
  const { invoices } = schema;
  const accountIds = open.map((invoice) => invoice.account.id);
  const unpaid = await ctx.db
    .select({ id: invoices.billingAccountId, due: invoices.dueMicros })
    .from(invoices)
    .where(
      and(
        inArray(invoices.billingAccountId, accountIds),
        // What a subscription's invoice asks for is no debt of the wallet.
        eq(invoices.kind, "usage"),
        eq(invoices.status, "final"),
      ),
    );
  // A period in which nothing was used is closed as well, but it is no document and has no number.
  const numbers = await takeNumbers(ctx, "INV", totals.size);
  const now = ctx.clock.now();
  const rows = open.map((invoice) => {
    const totalMicros = totals.get(invoice.id) ?? ZERO_MICROS;
    const dueMicros = computeDue({
      postedMicros: posted.get(invoice.account.id) ?? ZERO_MICROS,
      dueAlreadyMicros: sumMicros(unpaid.filter((row) => row.id === invoice.account.id).map((row) => row.due)),
      totalMicros,
    });
    const number = totals.has(invoice.id) ? (numbers.shift() ?? null) : null;
    const isPaid = dueMicros === 0n;
    return { invoice, totalMicros, dueMicros, number, isPaid, isCollected: !isPaid && isLent(invoice) };
  });
  const values = sql.join(
    rows.map(
      (row) => sql`(${row.invoice.id}::text, ${row.number}::text, ${row.totalMicros.toString()}::int8,
        ${row.dueMicros.toString()}::int8, ${row.isPaid ? "paid" : "final"}::text, ${row.isCollected}::boolean)`,
    ),
    sql`, `,
  );
  await ctx.db.execute(sql`
    update invoices set number = v.number, total_micros = v.total, due_micros = v.due, status = v.status,
      finalized_at = ${now.toISOString()}::timestamptz,
      paid_at = case when v.status = 'paid' then ${now.toISOString()}::timestamptz end,
      next_attempt_at = case when v.is_collected then ${now.toISOString()}::timestamptz end
    from (values ${values}) as v (id, number, total, due, status, is_collected) where invoices.id = v.id`);
  for (const row of rows) {
    if (row.number === null) continue;
    const about = {
      billingAccountId: row.invoice.account.id,
      id: row.invoice.id,
      kind: "usage" as const,
      number: row.number,
      totalMicros: row.totalMicros,
      dueMicros: row.dueMicros,
    };
    await announceInvoice(ctx, "finalized", about);
    if (row.isPaid) await announceInvoice(ctx, "paid", about);
  }
  await writeAudit(ctx, {
    action: "billing.closePeriod",
    subject: accountIds.length === 1 ? (accountIds[0] ?? "") : "billing",
    after: { invoices: rows.map(({ invoice, totalMicros }) => ({ id: invoice.id, totalMicros })) },
  });
}
