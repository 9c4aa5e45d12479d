import { once } from "node:events";
import type { Database, SqlTransaction } from "@tollgate/db";
import { inPipeline, withSqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import type { CallRecord } from "./callRecord.ts";
import { parseCallRecords } from "./callRecord.ts";
import type { FoldPlan } from "./planFold.ts";
import { planFold } from "./planFold.ts";

export interface CallBatch {
  readonly source: string;
  readonly sequence: number;
  readonly records: string;
}

export interface FoldResult {
  /** The number of the last call of this source that is now folded. */
  readonly through: number;
  /** How many calls were counted by this fold. */
  readonly calls: number;
  /** Whose they were. */
  readonly projectIds: readonly string[];
  readonly billingAccountIds: readonly string[];
}

/** An earlier batch of the same source is missing: this one cannot be folded yet. */
export class SourceGapError extends Error {
  override readonly name = "SourceGapError";
}

/**
 * Counts and charges a batch of calls, once, in one transaction: the raw calls, the hourly usage, the accruals that the
 * next settlement posts, and the budgets they were drawn from.
 *
 * Exactly once rests on one number per source: its calls are numbered without gaps and folded in order, and the number
 * reached moves in this transaction. A batch that comes again, whole or cut differently, is recognised call by call.
 * @throws SourceGapError, RangeError for records that cannot be read
 */
export async function foldCalls(database: Database, clock: Clock, batch: CallBatch): Promise<FoldResult> {
  const records = parseCallRecords(batch.records);
  for (const [index, record] of records.entries()) {
    if (record.sequence !== batch.sequence + index) throw new RangeError(`${batch.source} is not in order`);
  }
  return withSqlTransaction(database, (sql) => foldOnce(sql, clock, batch.source, records), {
    isIdempotent: true,
    isLockingItsRows: true,
  });
}

async function foldOnce(
  sql: SqlTransaction,
  clock: Clock,
  source: string,
  records: readonly CallRecord[],
): Promise<FoldResult> {
  const now = clock.now();
  const [through, timeZones] = await inPipeline([lockSource(sql, source, now), findTimeZones(sql, records)]);
  const fresh = records.filter((record) => record.sequence > through);
  const [first] = fresh;
  const last = fresh.at(-1);
  if (first === undefined || last === undefined) {
    return { through, calls: 0, projectIds: [], billingAccountIds: [] };
  }
  if (first.sequence !== through + 1) {
    throw new SourceGapError(`${source} stands at ${through} and the batch begins at ${first.sequence}`);
  }
  const plan = planFold(fresh, timeZones);
  // The budgets first: a gateway that leases from them meanwhile then waits or loses, and this long transaction wins.
  const isLate = await settleBudgets(sql, now, plan);
  await copyCalls(sql, source, fresh);
  await inPipeline([
    addUsage(sql, plan),
    addAccruals(sql, now, plan),
    noteKeyActivity(sql, plan),
    sql`insert into usage_batches (source, sequence, calls, charged_micros, is_late, folded_at)
        values (${source}, ${first.sequence}, ${fresh.length}, ${plan.chargedMicros.toString()}, ${isLate}, ${now})`,
    sql`update usage_sources set folded_through = ${last.sequence} where source = ${source}`,
  ]);
  return {
    through: last.sequence,
    calls: fresh.length,
    projectIds: [...new Set(plan.usage.map((sum) => sum.projectId))],
    billingAccountIds: [...new Set(plan.usage.map((sum) => sum.billingAccountId))],
  };
}

/** @returns the number of the last call of the source that is folded; until the end of the transaction nobody else moves it */
async function lockSource(sql: SqlTransaction, source: string, now: Date): Promise<number> {
  const [mark] = await sql`
    insert into usage_sources (source, folded_through, updated_at) values (${source}, 0, ${now})
    on conflict (source) do update set updated_at = excluded.updated_at returning folded_through`;
  return Number(mark?.["folded_through"]);
}

/** Where the accounts of these calls are, except for those in UTC, as most are. */
async function findTimeZones(sql: SqlTransaction, records: readonly CallRecord[]): Promise<Map<string, string>> {
  const accountIds = [...new Set(records.map((record) => record.billingAccountId))];
  const rows = await sql`
    select id, time_zone from billing_accounts where id = any(${accountIds}) and time_zone <> 'UTC'`;
  return new Map(rows.map((row) => [String(row["id"]), String(row["time_zone"])]));
}

/** Turns held into used. What a lease no longer holds (it was given up) is used all the same. @returns whether any was */
async function settleBudgets(sql: SqlTransaction, now: Date, plan: FoldPlan): Promise<boolean> {
  if (plan.draws.length === 0) return false;
  const budgetIds = [...new Set(plan.draws.map((draw) => draw.budgetId))].sort();
  const holderIds = [...new Set(plan.draws.map((draw) => draw.holderId))];
  const [, leases] = await Promise.all([
    sql`select id from budgets where id = any(${budgetIds}) order by id for update`,
    sql`select budget_id, holder_id, granted - settled - returned as outstanding from budget_leases
        where budget_id = any(${budgetIds}) and holder_id = any(${holderIds})`,
  ]);
  const outstanding = new Map(
    leases.map((lease) => [`${lease["holder_id"]} ${lease["budget_id"]}`, BigInt(String(lease["outstanding"]))]),
  );
  const heldByBudget = new Map<string, { used: bigint; held: bigint }>();
  let isLate = false;
  for (const draw of plan.draws) {
    const free = outstanding.get(`${draw.holderId} ${draw.budgetId}`) ?? 0n;
    const held = free < draw.amount ? free : draw.amount;
    if (held < draw.amount) isLate = true;
    const sum = heldByBudget.get(draw.budgetId) ?? { used: 0n, held: 0n };
    heldByBudget.set(draw.budgetId, { used: sum.used + draw.amount, held: sum.held + held });
    draw.settled = held;
  }
  const sums = [...heldByBudget];
  await inPipeline([
    sql`update budgets set used = budgets.used + d.used, held = budgets.held - d.held, updated_at = ${now}
        from unnest(${sums.map(([id]) => id)}::text[], ${sums.map(([, sum]) => sum.used.toString())}::int8[],
                    ${sums.map(([, sum]) => sum.held.toString())}::int8[]) as d (id, used, held)
        where budgets.id = d.id`,
    sql`update budget_leases set settled = budget_leases.settled + d.settled, updated_at = ${now}
        from unnest(${plan.draws.map((draw) => draw.budgetId)}::text[], ${plan.draws.map((draw) => draw.holderId)}::text[],
                    ${plan.draws.map((draw) => draw.settled.toString())}::int8[]) as d (budget_id, holder_id, settled)
        where budget_leases.budget_id = d.budget_id and budget_leases.holder_id = d.holder_id`,
  ]);
  return isLate;
}

/** A text of more than 128 KiB is of its own to the engine, made and thrown away at many times the cost a character. */
const COPY_PIECE_CHARACTERS = 64 * 1024;

/** The raw calls by COPY: several times faster than an insert of as many rows. */
async function copyCalls(sql: SqlTransaction, source: string, records: readonly CallRecord[]): Promise<void> {
  const copy = sql`
    copy calls (project_id, started_at, id, billing_account_id, key_id, endpoint_id, mode, outcome, status, latency_ms,
                units, unit_price_micros, charged_micros, request_bytes, response_bytes, source, sequence)
    from stdin`;
  // The driver tells the query of an error that comes after the data, and by then the query is settled and the stream
  // forgotten: without this, a COPY that fails at its end would never come to an end.
  const failure = new Promise<never>((_, reject) => {
    (copy as unknown as { reject: (error: unknown) => void }).reject = reject;
  });
  failure.catch(() => undefined);
  const stream = await Promise.race([copy.writable(), failure]);
  let text = "";
  for (const call of records) {
    if (text.length > COPY_PIECE_CHARACTERS) {
      stream.write(text);
      text = "";
    }
    text += `${call.projectId}\t${new Date(call.startedAtMs).toISOString()}\t${call.id}\t${call.billingAccountId}\t${call.keyId}\t${call.endpointId}\t${call.mode}\t${call.outcome}\t${call.status}\t${call.latencyMs}\t${call.units}\t${call.unitPriceMicros}\t${call.chargedMicros}\t${call.requestBytes}\t${call.responseBytes}\t${source}\t${call.sequence}\n`;
  }
  stream.end(text);
  await Promise.race([once(stream, "finish"), failure]);
}

async function addUsage(sql: SqlTransaction, plan: FoldPlan): Promise<void> {
  const rows = plan.usage;
  await sql`
    insert into usage_hourly as u (project_id, hour, endpoint_id, key_id, mode, status, billing_account_id, calls, units,
                                   charged_micros, latency_ms_total)
    select * from unnest(
      ${rows.map((row) => row.projectId)}::text[], ${rows.map((row) => row.hour)}::timestamptz[],
      ${rows.map((row) => row.endpointId)}::text[], ${rows.map((row) => row.keyId)}::text[],
      ${rows.map((row) => row.mode)}::text[], ${rows.map((row) => row.status)}::int2[],
      ${rows.map((row) => row.billingAccountId)}::text[], ${rows.map((row) => row.calls)}::int8[],
      ${rows.map((row) => row.units.toString())}::int8[], ${rows.map((row) => row.chargedMicros.toString())}::int8[],
      ${rows.map((row) => row.latencyMsTotal)}::int8[])
    on conflict (project_id, hour, endpoint_id, key_id, mode, status) do update set
      calls = u.calls + excluded.calls, units = u.units + excluded.units,
      charged_micros = u.charged_micros + excluded.charged_micros,
      latency_ms_total = u.latency_ms_total + excluded.latency_ms_total`;
}

async function addAccruals(sql: SqlTransaction, now: Date, plan: FoldPlan): Promise<void> {
  const rows = plan.accruals;
  if (rows.length === 0) return;
  await sql`
    insert into accruals as a (billing_account_id, hour, project_id, endpoint_id, unit_price_micros, calls, units,
                               amount_micros, settled_calls, settled_units, settled_micros, unsettled_since)
    select account, hour, project, endpoint, price, calls, units, amount, 0, 0, 0, ${now} from unnest(
      ${rows.map((row) => row.billingAccountId)}::text[], ${rows.map((row) => row.hour)}::timestamptz[],
      ${rows.map((row) => row.projectId)}::text[], ${rows.map((row) => row.endpointId)}::text[],
      ${rows.map((row) => row.unitPriceMicros)}::int8[], ${rows.map((row) => row.calls)}::int8[],
      ${rows.map((row) => row.units.toString())}::int8[], ${rows.map((row) => row.amountMicros.toString())}::int8[]
    ) as d (account, hour, project, endpoint, price, calls, units, amount)
    on conflict (billing_account_id, hour, project_id, endpoint_id, unit_price_micros) do update set
      calls = a.calls + excluded.calls, units = a.units + excluded.units,
      amount_micros = a.amount_micros + excluded.amount_micros,
      unsettled_since = case when a.is_settled then excluded.unsettled_since else a.unsettled_since end`;
}

async function noteKeyActivity(sql: SqlTransaction, plan: FoldPlan): Promise<void> {
  const keys = [...plan.lastUsedMsByKey];
  await sql`
    insert into key_activity as k (key_id, last_used_at)
    select * from unnest(${keys.map(([id]) => id)}::text[],
                         ${keys.map(([, ms]) => new Date(ms).toISOString())}::timestamptz[])
    on conflict (key_id) do update set last_used_at = greatest(k.last_used_at, excluded.last_used_at)`;
}
