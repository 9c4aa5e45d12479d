import { appendEvents, insertRows, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros, PeriodAnchor } from "@tollgate/kernel";
import {
  anchoredPeriod,
  hourCeiling,
  hourFloor,
  localDate,
  newId,
  subtractMicros,
  sumMicros,
  toMicros,
  ZERO_MICROS,
} from "@tollgate/kernel";
import { and, eq, inArray, lt, not, sql } from "drizzle-orm";
import { lockWallets } from "../../balance/internal.ts";
import { settleCompletely } from "../../balance/settleWallets.ts";
import type { ServiceContext } from "../../context.ts";
import type { AccountFacts } from "./accountFacts.ts";
import { gatherAccounts } from "./accountFacts.ts";
import { announcementOf, sellerOf } from "./internal.ts";
import { takeNumbers } from "./takeNumbers.ts";

export interface DuePeriod {
  readonly account: AccountFacts;
  readonly start: Date;
  readonly end: Date;
}

export interface ClosedPeriods {
  readonly closed: number;
  /** Whether the accounts may have more periods that are due. */
  readonly isMore: boolean;
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
 */
export async function closeDuePeriods(
  ctx: ServiceContext,
  billingAccountIds: readonly string[],
  at: Date,
): Promise<ClosedPeriods> {
  const due = (await gatherAccounts(ctx, billingAccountIds)).flatMap((facts) => findDuePeriod(facts, at) ?? []);
  if (due.length === 0) return { closed: 0, isMore: false };
  await settleThrough(ctx, due);
  return withTransaction(ctx, (ctx) => closeInTransaction(ctx, due, at), { isIdempotent: true });
}

async function settleThrough(ctx: ServiceContext, due: readonly DuePeriod[]): Promise<void> {
  const { accruals } = schema;
  const before = hourFloor(ctx.clock.nowMs());
  const ids = due.map(({ account }) => account.id);
  const unsettled = await ctx.db
    .selectDistinct({ id: accruals.billingAccountId })
    .from(accruals)
    .where(and(inArray(accruals.billingAccountId, ids), lt(accruals.hour, before), not(accruals.isSettled)));
  await settleCompletely(
    ctx,
    unsettled.map(({ id }) => id),
    before,
  );
}

interface OpenInvoice extends DuePeriod {
  readonly id: string;
}

async function closeInTransaction(ctx: ServiceContext, due: readonly DuePeriod[], at: Date): Promise<ClosedPeriods> {
  const wallets = await lockWallets(
    ctx,
    due.map(({ account }) => account.id),
  );
  const posted = new Map(wallets.map((row) => [row.billingAccountId, toMicros(row.limitAmount)]));
  // What was due may have been closed by another in the meantime; the wallets are locked now.
  const fresh = (await gatherAccounts(ctx, [...posted.keys()])).flatMap((facts) => findDuePeriod(facts, at) ?? []);
  if (fresh.length === 0) return { closed: 0, isMore: true };
  const open = await insertDrafts(ctx, fresh);
  const totals = await claimLines(ctx, open);
  await finalize(ctx, open, totals, posted);
  const isNextDue = ({ account, end }: DuePeriod) => findDuePeriod({ ...account, lastEnd: end }, at) !== undefined;
  return { closed: open.length, isMore: fresh.length < due.length || fresh.some(isNextDue) };
}

async function insertDrafts(ctx: ServiceContext, due: readonly DuePeriod[]): Promise<OpenInvoice[]> {
  const now = ctx.clock.now();
  const open = due.map((period) => ({ ...period, id: newId("invoice") }));
  await insertRows(
    ctx.db,
    schema.invoices,
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
 * @returns the total of each invoice that has lines
 */
async function claimLines(ctx: ServiceContext, open: readonly OpenInvoice[]): Promise<Map<string, Micros>> {
  const ids = open.map((invoice) => invoice.id);
  const accounts = open.map((invoice) => `wallet:${invoice.account.id}`);
  const since = open.map((invoice) => (invoice.account.lastEnd === null ? new Date(0) : invoice.start).toISOString());
  const ends = open.map((invoice) => invoice.end.toISOString());
  const rows = await ctx.db.execute<{ invoice_id: string; total: string }>(sql`
    with claimed as materialized (
      select p.invoice_id, e.transaction_id, e.line, e.amount_micros, e.detail->>'projectId' as project_id,
        e.detail->>'endpointId' as endpoint_id, (e.detail->>'unitPriceMicros')::int8 as price,
        (e.detail->>'units')::int8 as units
      from unnest(${sql.param(ids)}::text[], ${sql.param(accounts)}::text[], ${sql.param(since)}::text[],
                  ${sql.param(ends)}::text[]) as p (invoice_id, account, since, ends)
      join ledger_entries as e on e.account = p.account and e.created_at >= p.since::timestamptz
      where e.detail is not null and e.detail->>'hour' < p.ends
        and not exists (
          select 1 from invoice_entries as x where x.transaction_id = e.transaction_id and x.line = e.line)
    ), kept as (
      insert into invoice_entries (transaction_id, line, invoice_id)
      select transaction_id, line, invoice_id from claimed
    ), sums as materialized (
      select invoice_id, project_id, endpoint_id, price, sum(units)::int8 as units, sum(-amount_micros)::int8 as amount
      from claimed group by invoice_id, project_id, endpoint_id, price
    ), written as (
      insert into invoice_lines (invoice_id, line, description, project_id, endpoint_id, quantity, unit_price_micros,
                                 amount_micros)
      select sums.invoice_id,
        row_number() over (partition by sums.invoice_id order by sums.project_id, sums.endpoint_id, sums.price),
        coalesce(a.display_name || ', ' || n.name, sums.endpoint_id), sums.project_id, sums.endpoint_id, sums.units,
        sums.price, sums.amount
      from sums left join endpoints as n on n.id = sums.endpoint_id left join apis as a on a.id = n.api_id
    )
    select invoice_id, sum(amount)::text as total from sums group by invoice_id`);
  return new Map([...rows].map((row) => [row.invoice_id, toMicros(BigInt(row.total))]));
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
  await ctx.db.execute(sql`
    update invoices set number = v.number, total_micros = v.total, due_micros = v.due,
      status = case when v.due = 0 then 'paid' else 'final' end,
      finalized_at = ${now.toISOString()}::timestamptz,
      paid_at = case when v.due = 0 then ${now.toISOString()}::timestamptz end,
      next_attempt_at = case when v.is_collected::bool then ${now.toISOString()}::timestamptz end
    from unnest(${sql.param(rows.map((row) => row.invoice.id))}::text[],
                ${sql.param(rows.map((row) => row.number))}::text[],
                ${sql.param(rows.map((row) => row.totalMicros.toString()))}::int8[],
                ${sql.param(rows.map((row) => row.dueMicros.toString()))}::int8[],
                ${sql.param(rows.map((row) => String(row.isCollected)))}::text[]) as v (id, number, total, due, is_collected)
    where invoices.id = v.id`);
  const announced = rows
    .filter(({ number }) => number !== null)
    .flatMap(({ invoice: { id, account }, number, totalMicros, dueMicros, isPaid }) => {
      const about = { billingAccountId: account.id, id, kind: "usage" as const, number, totalMicros, dueMicros };
      const finalized = announcementOf("finalized", about);
      return isPaid ? [finalized, announcementOf("paid", about)] : [finalized];
    });
  await appendEvents(ctx, announced);
  await writeAudit(ctx, {
    action: "billing.closePeriod",
    subject: accountIds.length === 1 ? (accountIds[0] ?? "") : "billing",
    after: { invoices: rows.map(({ invoice, totalMicros }) => ({ id: invoice.id, totalMicros })) },
  });
}
