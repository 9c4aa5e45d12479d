import type { Database } from "@tollgate/db";
import { inPipeline, withSqlTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";

/**
 * Who holds leases. A holder is one run of a gateway; it renews itself while it lives. One that stops renewing keeps its
 * leases until its spool is replayed, or until the grace passes and a sweep gives them back.
 */
export const HOLDER_LIFETIME_MS = 60_000;

/** How long a vanished gateway's leases are kept for its spool to come back. */
export const HOLDER_GRACE_MS = 10 * 60_000;

const LEASES_PER_TRANSACTION = 500;
const HOLDERS_PER_SWEEP = 100;

/** Begins to hold. A run that was given up and begins anew speaks of its whole spool again, so its calls are not lost. */
export async function openHolder(database: Database, clock: Clock, holderId: string): Promise<void> {
  const runId = holderId.slice(0, holderId.lastIndexOf("."));
  await withSqlTransaction(
    database,
    (sql) =>
      inPipeline([
        sql`insert into budget_holders (id, created_at, expires_at)
            values (${holderId}, ${clock.now()}, ${new Date(clock.nowMs() + HOLDER_LIFETIME_MS)})
            on conflict (id) do nothing`,
        sql`update budget_holders set unfolded = 0, unfolded_since = null
            where id >= ${`${runId}.`} and id < ${`${runId}/`} and closed_at is not null and unfolded_since is not null`,
      ]),
    { isIdempotent: true },
  );
}

/** How many runs of gateways there are beside one: those whose holder is open and renewed itself lately. */
export async function countOtherHolders(database: Database, clock: Clock, runId: string): Promise<number> {
  const [row] = await database.sql`
    select count(*) as others from budget_holders
    where closed_at is null and expires_at > ${clock.now()} and not (id >= ${`${runId}.`} and id < ${`${runId}/`})`;
  return Number(row?.["others"] ?? 0);
}

/** How a gateway's spool stands: a call is in it until it is known to be folded. */
export interface SpoolState {
  readonly unfolded: number;
  readonly folded: number;
}

/**
 * With the state of its spool, so that somebody notices when calls are made and nothing is folded.
 * @returns false when the holder was closed: its leases are gone and it must open another.
 */
export async function renewHolder(
  database: Database,
  clock: Clock,
  holderId: string,
  spool: SpoolState = { unfolded: 0, folded: 0 },
): Promise<boolean> {
  const { unfolded, folded } = spool;
  const rows = await withSqlTransaction(
    database,
    (sql) => sql`
      update budget_holders set expires_at = ${new Date(clock.nowMs() + HOLDER_LIFETIME_MS)},
        unfolded = ${unfolded}, folded = ${folded},
        unfolded_since = case when ${unfolded}::int8 = 0 then null
          when unfolded_since is null or folded <> ${folded}::int8 then ${clock.now()}::timestamptz
          else unfolded_since end
      where id = ${holderId} and closed_at is null returning id`,
    { isIdempotent: true },
  );
  return rows.length === 1;
}

/**
 * Closes a holder all of whose calls are folded, and gives back what it has outstanding. Calls of it that are folded later
 * are still charged, once, and their batches are marked late. It is marked as closed first, so that nothing is leased to it
 * any more, and as returned when nothing is left: whoever is cut in between leaves a holder that the next sweep goes on with.
 */
export async function closeHolder(database: Database, clock: Clock, holderId: string): Promise<void> {
  await withSqlTransaction(
    database,
    (sql) => sql`
      update budget_holders
      set closed_at = coalesce(closed_at, ${clock.now()}::timestamptz), unfolded = 0, unfolded_since = null
      where id = ${holderId}`,
    { isIdempotent: true },
  );
  await returnLeases(database, clock, holderId);
}

/**
 * Closes a holder that vanished. If it had calls that were not folded, or leases that such calls may have been paid from,
 * these wait from now on until its run comes back, is replayed, or is dismissed by an operator.
 */
async function giveUpHolder(database: Database, clock: Clock, holderId: string): Promise<void> {
  await withSqlTransaction(
    database,
    (sql) => sql`
      update budget_holders set closed_at = ${clock.now()},
        unfolded_since = case
          when unfolded > 0 or exists (select 1 from budget_leases where holder_id = ${holderId}
                                       and granted > settled + returned)
          then coalesce(unfolded_since, expires_at) end
      where id = ${holderId} and closed_at is null`,
    { isIdempotent: true },
  );
  await returnLeases(database, clock, holderId);
}

async function returnLeases(database: Database, clock: Clock, holderId: string): Promise<void> {
  while ((await returnSomeLeases(database, clock, holderId)) === LEASES_PER_TRANSACTION);
  await withSqlTransaction(
    database,
    (sql) => sql`update budget_holders set returned_at = ${clock.now()} where id = ${holderId} and returned_at is null`,
    { isIdempotent: true },
  );
}

async function returnSomeLeases(database: Database, clock: Clock, holderId: string): Promise<number> {
  return withSqlTransaction(
    database,
    async (sql) => {
      const some = await sql`
        select budget_id from budget_leases where holder_id = ${holderId}
        order by budget_id limit ${LEASES_PER_TRANSACTION}`;
      const budgetIds = some.map((lease) => String(lease["budget_id"]));
      if (budgetIds.length === 0) return 0;
      // Budgets before leases, as everyone locks them.
      await sql`select id from budgets where id = any(${budgetIds}) order by id for update`;
      await sql`
        update budgets set held = held - lease.back, updated_at = ${clock.now()}
        from (select budget_id, granted - settled - returned as back from budget_leases
              where holder_id = ${holderId} and budget_id = any(${budgetIds})) as lease
        where budgets.id = lease.budget_id and lease.back > 0`;
      await sql`delete from budget_leases where holder_id = ${holderId} and budget_id = any(${budgetIds})`;
      return budgetIds.length;
    },
    { isIdempotent: true, isLockingItsRows: true },
  );
}

/** Closes what a run of a gateway has held, all of whose calls are folded. */
export async function closeRun(database: Database, clock: Clock, runId: string): Promise<void> {
  const rows = await database.sql`
    select id from budget_holders
    where id >= ${`${runId}.`} and id < ${`${runId}/`} and (returned_at is null or unfolded_since is not null)`;
  for (const row of rows) await closeHolder(database, clock, String(row["id"]));
}

/**
 * Gives up holders that have not renewed themselves for longer than the grace, and goes on with those that were closed while
 * leases of them had yet to come back. @returns how many
 */
export async function sweepHolders(database: Database, clock: Clock, graceMs = HOLDER_GRACE_MS): Promise<number> {
  const [vanished, closing] = await Promise.all([
    database.sql`
      select id from budget_holders
      where closed_at is null and expires_at < ${new Date(clock.nowMs() - graceMs)}
      order by expires_at limit ${HOLDERS_PER_SWEEP}`,
    database.sql`
      select id from budget_holders
      where closed_at is not null and returned_at is null order by closed_at limit ${HOLDERS_PER_SWEEP}`,
  ]);
  for (const row of vanished) await giveUpHolder(database, clock, String(row["id"]));
  for (const row of closing) await returnLeases(database, clock, String(row["id"]));
  return vanished.length + closing.length;
}
