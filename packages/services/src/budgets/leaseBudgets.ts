import type { Database, SqlTransaction, schema } from "@tollgate/db";
import { inPipeline, withSqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import { TollgateError } from "@tollgate/kernel";
import type { BudgetFacts, GrantRequest } from "./computeGrant.ts";
import { availableOf, computeGrant } from "./computeGrant.ts";
import { resolveLimits } from "./resolveLimits.ts";

export type BudgetKind = (typeof schema.BUDGET_KINDS)[number];

export interface LeaseRequest extends GrantRequest {
  readonly budgetId: string;
  readonly kind: BudgetKind;
  readonly billingAccountId: string;
  /** What the gateway believes the limit of a quota or cap to be; a difference makes the database look again. */
  readonly believedLimit?: bigint;
  /** All that this holder has ever given back of this budget. A total, so that saying it twice changes nothing. */
  readonly returnedTotal: bigint;
}

export interface LeaseResult {
  readonly budgetId: string;
  /** All that this holder was ever granted of this budget. */
  readonly grantedTotal: bigint;
  /** What is left for everyone after this grant. */
  readonly available: bigint;
  /** What other holders hold: some of it may come back. */
  readonly heldByOthers: bigint;
  /**
   * When the first credit of a wallet expires, in milliseconds since the epoch: what is leased must not be spent from then
   * on, and has to be leased again. Undefined when nothing expires.
   */
  readonly spendableUntilMs?: number;
}

export interface BudgetRow extends BudgetFacts {
  readonly id: string;
}

export interface LeaseTotals {
  readonly granted: bigint;
  readonly settled: bigint;
  readonly returned: bigint;
}

/**
 * Takes and gives back slices of several budgets in one transaction. Everything is expressed in totals that only grow, so
 * the transaction may be repeated after a COMMIT without an answer: at worst the holder gets a second slice, which it
 * sees in the total.
 *
 * A wallet with credit that has expired gives nothing before that credit is off the books: expiry holds at the moment of
 * spending, not only after the sweep.
 * @throws TollgateError `holder_closed` when the holder's leases were already given up for it
 */
export async function leaseBudgets(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly holderId: string;
  readonly requests: readonly LeaseRequest[];
  /** Takes an account's expired credit off the books. */
  readonly expireDueGrants: (billingAccountId: string) => Promise<unknown>;
}): Promise<LeaseResult[]> {
  const requests = [...options.requests].sort((a, b) => (a.budgetId < b.budgetId ? -1 : 1));
  for (let attempt = 1; ; attempt += 1) {
    const { results, due } = await withSqlTransaction(
      options.database,
      (sql) => leaseOnce(sql, options.clock, options.holderId, requests),
      { isIdempotent: true, isLockingItsRows: true },
    );
    if (due.length === 0 || attempt === EXPIRY_ATTEMPTS_MAX) return results;
    await Promise.all(due.map((billingAccountId) => options.expireDueGrants(billingAccountId)));
  }
}

const EXPIRY_ATTEMPTS_MAX = 3;

async function leaseOnce(
  sql: SqlTransaction,
  clock: Clock,
  holderId: string,
  requests: readonly LeaseRequest[],
): Promise<{ results: LeaseResult[]; due: string[] }> {
  const ids = requests.map((request) => request.budgetId);
  const payers = requests.filter((request) => request.kind === "wallet").map((request) => request.billingAccountId);
  const [holders, found, leaseRows, expiries] = await Promise.all([
    sql`select closed_at from budget_holders where id = ${holderId} for share`,
    sql`select id, limit_amount, overdraft, used, held from budgets where id = any(${ids}) order by id for update`,
    sql`select budget_id, granted, settled, returned from budget_leases
        where holder_id = ${holderId} and budget_id = any(${ids})`,
    sql`select billing_account_id, min(expires_at) as expires_at from grants
        where billing_account_id = any(${payers}) and remaining_micros > 0 and expires_at is not null
        group by billing_account_id`,
  ]);
  if (holders[0] === undefined || holders[0]["closed_at"] !== null) throw holderClosed(holderId);
  const budgets = new Map(found.map((row) => [String(row["id"]), toBudget(row)]));
  await resolveMissing(sql, clock, requests, budgets);
  const leases = new Map(leaseRows.map((row) => [String(row["budget_id"]), toTotals(row)]));
  const expiresAtMs = new Map(
    expiries.map((row) => [String(row["billing_account_id"]), (row["expires_at"] as Date).getTime()]),
  );
  const nowMs = clock.nowMs();
  const isDue = (request: LeaseRequest): boolean =>
    request.kind === "wallet" && (expiresAtMs.get(request.billingAccountId) ?? Infinity) <= nowMs;
  const plans = requests.map((request) =>
    planLease(
      isDue(request) ? { ...request, demand: 0n, want: 0n } : request,
      budgets.get(request.budgetId),
      leases.get(request.budgetId),
      request.kind === "wallet" ? expiresAtMs.get(request.billingAccountId) : undefined,
    ),
  );
  await writePlans(
    sql,
    clock,
    holderId,
    plans.filter((plan) => plan.isChange),
  );
  const due = requests.filter((request) => isDue(request) && request.demand > 0n);
  return { results: plans.map((plan) => plan.result), due: due.map((request) => request.billingAccountId) };
}

export interface LeasePlan {
  readonly budgetId: string;
  readonly heldDelta: bigint;
  readonly granted: bigint;
  readonly returned: bigint;
  readonly isChange: boolean;
  readonly result: LeaseResult;
}

/** What a request does to a budget and to the holder's lease of it: a pure function, so that it is tested without a database. */
export function planLease(
  request: LeaseRequest,
  budget: BudgetRow | undefined,
  totals: LeaseTotals | undefined,
  spendableUntilMs: number | undefined,
): LeasePlan {
  const facts = budget ?? { id: request.budgetId, limit: 0n, overdraft: 0n, used: 0n, held: 0n };
  const lease = totals ?? { granted: 0n, settled: 0n, returned: 0n };
  const outstanding = lease.granted - lease.settled - lease.returned;
  const saidBack = request.returnedTotal - lease.returned;
  const given = saidBack < 0n ? 0n : saidBack > outstanding ? outstanding : saidBack;
  const afterReturn = { ...facts, held: facts.held - given };
  const grant = budget === undefined ? 0n : computeGrant(afterReturn, request);
  const after = { ...afterReturn, held: afterReturn.held + grant };
  const own = outstanding - given + grant;
  return {
    budgetId: request.budgetId,
    heldDelta: grant - given,
    granted: lease.granted + grant,
    returned: lease.returned + given,
    isChange: grant !== 0n || given !== 0n,
    result: {
      budgetId: request.budgetId,
      grantedTotal: lease.granted + grant,
      available: availableOf(after),
      heldByOthers: after.held - own,
      ...(spendableUntilMs === undefined ? {} : { spendableUntilMs }),
    },
  };
}

async function writePlans(
  sql: SqlTransaction,
  clock: Clock,
  holderId: string,
  plans: readonly LeasePlan[],
): Promise<void> {
  if (plans.length === 0) return;
  const now = clock.now();
  const ids = plans.map((plan) => plan.budgetId);
  await inPipeline([
    sql`update budgets set held = held + delta, updated_at = ${now}
        from unnest(${ids}::text[], ${plans.map((plan) => plan.heldDelta.toString())}::int8[]) as plan (id, delta)
        where budgets.id = plan.id`,
    sql`insert into budget_leases (budget_id, holder_id, granted, settled, returned, updated_at)
        select id, ${holderId}, granted, 0, returned, ${now}
        from unnest(${ids}::text[], ${plans.map((plan) => plan.granted.toString())}::int8[],
                    ${plans.map((plan) => plan.returned.toString())}::int8[]) as plan (id, granted, returned)
        on conflict (budget_id, holder_id) do update
        set granted = excluded.granted, returned = excluded.returned, updated_at = excluded.updated_at`,
  ]);
}

/** Budgets that are not there yet, or whose limit the gateway believes to be another, are looked up where limits are kept. */
async function resolveMissing(
  sql: SqlTransaction,
  clock: Clock,
  requests: readonly LeaseRequest[],
  budgets: Map<string, BudgetRow>,
): Promise<void> {
  const doubtful = requests.filter((request) => {
    if (request.kind === "wallet") return false;
    const budget = budgets.get(request.budgetId);
    return budget === undefined || (request.believedLimit !== undefined && request.believedLimit !== budget.limit);
  });
  if (doubtful.length === 0) return;
  for (const row of await resolveLimits(sql, clock, doubtful)) budgets.set(String(row["id"]), toBudget(row));
}

type Row = Record<string, unknown>;

function toBudget(row: Row): BudgetRow {
  return {
    id: String(row["id"]),
    limit: BigInt(String(row["limit_amount"])),
    overdraft: BigInt(String(row["overdraft"])),
    used: BigInt(String(row["used"])),
    held: BigInt(String(row["held"])),
  };
}

function toTotals(row: Row): LeaseTotals {
  return {
    granted: BigInt(String(row["granted"])),
    settled: BigInt(String(row["settled"])),
    returned: BigInt(String(row["returned"])),
  };
}

function holderClosed(holderId: string): TollgateError {
  return new TollgateError("GONE", `The leases of ${holderId} were given up`, { reason: "holder_closed" });
}
