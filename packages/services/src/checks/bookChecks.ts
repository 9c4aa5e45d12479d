import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";
import { callChecks } from "./callChecks.ts";
import { compare } from "./compare.ts";
import { usedChecks } from "./usedChecks.ts";

/**
 * What must be equal, each as a statement that returns the places where it is not: (subject, left_amount, right_amount).
 * The sums are numeric, so no total of a large deployment can overflow.
 */
export const DIFFERENCES_MAX = 50;

export interface BookCheck {
  readonly name: string;
  readonly claim: string;
  readonly differences: (now: Date) => SQL;
}

const HOUR_MS = 3_600_000;
/** Raw calls are kept for 30 days; the day at the edge, which retention may be clearing, is left out. */
const CALLS_COMPARED_MS = 29 * 24 * HOUR_MS;

/** Closing one who holds a lease of every budget takes a while, and whoever is cut there is gone on with every minute. */
const CLOSING_MS = 10 * 60_000;

/** The first hour that has all of its raw calls. */
const comparedFrom = (now: Date): string =>
  new Date(Math.ceil((now.getTime() - CALLS_COMPARED_MS) / HOUR_MS) * HOUR_MS).toISOString();

export const BOOK_CHECKS = [
  {
    name: "transactions_balance",
    claim: "The entries of every ledger transaction sum to zero",
    differences: () => sql`
      select t.id as subject, coalesce(sum(e.amount_micros), 0) as left_amount, 0 as right_amount
      from ledger_transactions as t left join ledger_entries as e on e.transaction_id = t.id
      group by t.id having coalesce(sum(e.amount_micros), 0) <> 0 or count(e.line) < 2`,
  },
  {
    name: "wallet_posted",
    claim: "What is posted on a wallet is the sum of its ledger entries",
    differences: () =>
      compare(
        sql`select billing_account_id as subject, limit_amount as amount from budgets where kind = 'wallet'`,
        sql`select substr(account, 8) as subject, sum(amount_micros) as amount from ledger_entries
            where account like 'wallet:%' group by account`,
      ),
  },
  {
    name: "wallet_accrued",
    claim: "What is used of a wallet is its usage that is not posted yet",
    differences: () =>
      compare(
        sql`select billing_account_id as subject, used as amount from budgets where kind = 'wallet'`,
        sql`select billing_account_id as subject, sum(amount_micros - settled_micros) as amount from accruals
            where settled_micros <> amount_micros group by billing_account_id`,
      ),
  },
  {
    name: "budgets_held",
    claim: "What is held of a budget is what its leases have outstanding",
    differences: () =>
      compare(
        sql`select id as subject, held as amount from budgets`,
        sql`select budget_id as subject, sum(granted - settled - returned) as amount from budget_leases
            group by budget_id`,
      ),
  },
  {
    name: "leases_open",
    claim: "Whoever was closed has given back all that it held",
    differences: (now) => sql`
      select l.budget_id as subject, sum(l.granted - l.settled - l.returned) as left_amount, 0 as right_amount
      from budget_leases as l left join budget_holders as h on h.id = l.holder_id
      where h.id is null or h.closed_at < ${new Date(now.getTime() - CLOSING_MS).toISOString()}::timestamptz
      group by l.budget_id having sum(l.granted - l.settled - l.returned) <> 0`,
  },
  ...usedChecks(comparedFrom),
  {
    name: "grants_remaining",
    claim: "What remains of an account's grants is its posted balance, or zero when that is below zero",
    differences: () =>
      compare(
        sql`select billing_account_id as subject, greatest(limit_amount, 0) as amount from budgets where kind = 'wallet'`,
        sql`select billing_account_id as subject, sum(remaining_micros) as amount from grants group by billing_account_id`,
      ),
  },
  {
    name: "grants_consumed",
    claim: "What was taken from a grant and what remains of it are what was granted",
    differences: () =>
      compare(
        sql`select id as subject, amount_micros - remaining_micros as amount from grants`,
        sql`select grant_id as subject, sum(amount_micros) as amount from grant_consumptions group by grant_id`,
      ),
  },
  {
    name: "usage_accrued",
    claim: "What usage says was charged is what was accrued",
    differences: () =>
      compare(
        sql`select billing_account_id as subject, sum(charged_micros) as amount from usage_hourly group by billing_account_id`,
        sql`select billing_account_id as subject, sum(amount_micros) as amount from accruals group by billing_account_id`,
      ),
  },
  ...callChecks(comparedFrom),
  {
    name: "settled_revenue",
    claim: "What was settled of an account's usage is what the ledger booked as revenue from it",
    differences: () =>
      compare(
        sql`select billing_account_id as subject, sum(settled_micros) as amount from accruals group by billing_account_id`,
        sql`select t.billing_account_id as subject, sum(e.amount_micros) as amount
            from ledger_entries as e join ledger_transactions as t on t.id = e.transaction_id
            where e.account = 'revenue:usage' group by t.billing_account_id`,
      ),
  },
  {
    name: "invoice_totals",
    claim: "The lines of every invoice add up to its total",
    differences: () =>
      compare(
        sql`select id as subject, total_micros as amount from invoices`,
        sql`select invoice_id as subject, sum(amount_micros) as amount from invoice_lines group by invoice_id`,
      ),
  },
  {
    name: "invoice_ledger",
    claim: "The lines of every usage invoice are the ledger's lines on it",
    differences: () =>
      compare(
        sql`select l.invoice_id as subject, sum(l.amount_micros) as amount
            from invoice_lines as l join invoices as i on i.id = l.invoice_id
            where i.kind = 'usage' group by l.invoice_id`,
        sql`select x.invoice_id as subject, sum(-e.amount_micros) as amount from invoice_entries as x
            join ledger_entries as e on e.transaction_id = x.transaction_id and e.line = x.line group by x.invoice_id`,
      ),
  },
] as const satisfies readonly BookCheck[];
