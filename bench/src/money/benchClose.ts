import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { closePeriods } from "@tollgate/services/billing";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { reserveConnection } from "../reserveConnection.ts";
import { chunksOf, idsOf, seedAccounts, seeding, sideBySide, timed } from "./seedAccounts.ts";

const LINES = 50;
const ACCOUNTS_PER_JOB = 50;
const RATIO_MAX = 3;
const DAY_MS = 24 * 3_600_000;
const SYSTEM = { kind: "system", task: "bench" } as const;

/** Periods of many accounts made into invoices, beside the statements that write the same invoices for all at once. */
export async function benchClose(place: BenchPlace, servers: RunningServers): Promise<Section> {
  const url = await createOwnDatabase(servers.databaseUrl, "bench_close");
  const database = createDatabase({ url, applicationName: "bench", connectionsMax: 4 });
  try {
    const periods = place.durations.closedPeriods;
    place.log(`seeding ${whole(periods)} periods of ${LINES} lines`);
    await seedPeriods(database, periods);
    await place.quiet();
    const inOneMs = await closeAtOnce(database);
    const ctx = contextOf(database, SYSTEM);
    const at = new Date().toISOString();
    const jobs = chunksOf(idsOf(periods), ACCOUNTS_PER_JOB);
    let closed = 0;
    const close = (some: readonly string[][]) =>
      sideBySide(some, 1, async (billingAccountIds) => {
        const done = await closePeriods({ ctx, input: { billingAccountIds, at } });
        closed += done.closed;
      });
    // In two halves, as after a worker's death: what is done is not done again.
    const firstMs = await timed(() => close(jobs.slice(0, jobs.length / 2)));
    const restMs = await timed(() => close(jobs.slice(jobs.length / 2)));
    const closedOnce = closed;
    await close(jobs.slice(0, 4));
    const isTrue = closed === closedOnce && closed === periods && (await sameTotals(database));
    const ratio = (firstMs + restMs) / inOneMs;
    return {
      title: "Invoices: periods closed",
      about: `${whole(periods)} accounts with a period of ${LINES} lines each, ${ACCOUNTS_PER_JOB} accounts a transaction, one job after the other: numbers without gaps are taken one after the other. Beside it the statements that write the same invoices, their entries and their lines for all accounts at once.`,
      columns: ["", "seconds", "periods/s", "transactions"],
      rows: [
        [
          "closed",
          fixed((firstMs + restMs) / 1_000, 2),
          whole((periods / (firstMs + restMs)) * 1_000),
          whole(jobs.length),
        ],
        ["written at once", fixed(inOneMs / 1_000, 2), whole((periods / inOneMs) * 1_000), "1"],
      ],
      goals: [
        {
          what: "closed, of written at once",
          goal: `≤ ${times(RATIO_MAX)}`,
          seen: times(ratio),
          isReached: ratio <= RATIO_MAX,
        },
        {
          what: "one invoice a period, also when it is asked for again, with the same sums",
          goal: "yes",
          seen: isTrue ? "yes" : "no",
          isReached: isTrue,
        },
      ],
      notes: [],
    };
  } finally {
    await database.close();
  }
}

/** Accounts of two months ago whose usage of the first day is on the ledger: a settlement each. */
async function seedPeriods(database: Database, periods: number): Promise<void> {
  const at = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - 40 * DAY_MS);
  await seedAccounts(database, periods, at);
  await seeding(database, async (sql) => {
    await sql`
      insert into ledger_transactions
        (id, billing_account_id, kind, idempotency_key, request_hash, reference, is_visible, actor, created_at)
      select 'txn_usage' || lpad(n::text, 8, '0'), 'ba_bench' || lpad(n::text, 8, '0'), 'settlement', 'usage', '',
        'Usage', true, 'system:bench', ${at}
      from generate_series(1, ${periods}::int) n`;
    await sql`
      insert into ledger_entries (transaction_id, line, account, amount_micros, detail, created_at)
      select 'txn_usage' || lpad(n::text, 8, '0'), line,
        case when line = ${LINES}::int then 'revenue:usage' else 'wallet:ba_bench' || lpad(n::text, 8, '0') end,
        case when line = ${LINES}::int then ${LINES * 1000}::int8 else -1000 end,
        case when line = ${LINES}::int then null else jsonb_build_object('hour', ${at.toISOString()}::text, 'projectId',
          'prj_bench' || lpad(n::text, 8, '0'), 'endpointId', 'ep_' || line, 'unitPriceMicros', '1000', 'calls', 1, 'units', '1')
        end, ${at}
      from generate_series(1, ${periods}::int) n, generate_series(0, ${LINES}::int) line`;
  });
}

/** What `like` leaves out: the rows are held to the same references. */
const REFERENCES = [
  "once_invoices add foreign key (billing_account_id) references billing_accounts (id)",
  "once_invoice_entries add foreign key (invoice_id) references once_invoices (id)",
  "once_invoice_lines add foreign key (invoice_id) references once_invoices (id)",
];

/** The same rows, into tables of the same shape. */
async function closeAtOnce(database: Database): Promise<number> {
  const sql = await reserveConnection(database);
  try {
    for (const table of ["invoices", "invoice_entries", "invoice_lines"]) {
      await sql.unsafe(`create table once_${table} (like ${table} including all)`);
    }
    for (const reference of REFERENCES) await sql.unsafe(`alter table ${reference}`);
    // Once for the cache.
    await sql`select count(detail) from ledger_entries`;
    return await timed(async () => {
      await sql`begin`;
      await sql`
        insert into once_invoices (id, billing_account_id, kind, status, number, period_start, period_end, time_zone, currency,
          total_micros, due_micros, seller, customer, finalized_at, created_at, updated_at)
        select 'inv_' || a.id, a.id, 'usage', 'paid', 'INV-' || row_number() over (), a.created_at,
          a.created_at + interval '1 month', a.time_zone, 'usd', sums.total, 0, '{}'::jsonb, '{}'::jsonb, now(), now(), now()
        from billing_accounts as a
        join (select account, -sum(amount_micros) as total from ledger_entries where detail is not null group by account) as sums
          on sums.account = 'wallet:' || a.id`;
      await sql`
        insert into once_invoice_entries (transaction_id, line, invoice_id)
        select e.transaction_id, e.line, i.id
        from once_invoices as i join ledger_entries as e on e.account = 'wallet:' || i.billing_account_id
        where e.detail is not null`;
      await sql`
        insert into once_invoice_lines (invoice_id, line, description, project_id, endpoint_id, quantity, unit_price_micros,
          amount_micros)
        select invoice_id, row_number() over (partition by invoice_id), endpoint_id, project_id, endpoint_id, units, price, amount
        from (
          select x.invoice_id, e.detail->>'projectId' as project_id, e.detail->>'endpointId' as endpoint_id,
            (e.detail->>'unitPriceMicros')::int8 as price, sum((e.detail->>'units')::int8)::int8 as units,
            sum(-e.amount_micros)::int8 as amount
          from once_invoice_entries as x join ledger_entries as e on e.transaction_id = x.transaction_id and e.line = x.line
          group by 1, 2, 3, 4
        ) as sums`;
      await sql`commit`;
    });
  } finally {
    sql.release();
  }
}

async function sameTotals({ sql }: Database): Promise<boolean> {
  const rows = await sql`
    select i.id from invoices as i
    full join once_invoices as o on o.billing_account_id = i.billing_account_id and i.kind = 'usage'
    where i.total_micros is distinct from o.total_micros limit 1`;
  return rows.length === 0;
}
