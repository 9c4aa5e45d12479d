import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { settleAccounts } from "@tollgate/services/balance";
import { checkBooks } from "@tollgate/services/checks";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { reserveConnection } from "../reserveConnection.ts";
import { chunksOf, idsOf, seedAccounts, seeding, sideBySide, timed } from "./seedAccounts.ts";

const ACCOUNTS = 1_000;
const ENDPOINTS = 2;
const JOBS_SIDE_BY_SIDE = 4;
const ACCOUNTS_PER_JOB = 50;
const RATIO_MAX = 2;
const HOUR_MS = 3_600_000;
const SYSTEM = { kind: "system", task: "bench" } as const;

/** An hour of calls, counted already, settled to the ledger; beside the one statement that adds the same calls up. */
export async function benchSettle(place: BenchPlace, servers: RunningServers): Promise<Section> {
  const url = await createOwnDatabase(servers.databaseUrl, "bench_settle");
  const database = createDatabase({ url, applicationName: "bench", connectionsMax: JOBS_SIDE_BY_SIDE + 1 });
  try {
    const calls = place.durations.settleCalls;
    place.log(`seeding ${whole(calls)} calls`);
    await seedCalls(database, calls);
    await place.quiet();
    const inOneMs = await addUp(database);
    const ctx = contextOf(database, SYSTEM);
    const before = new Date(Math.floor(Date.now() / HOUR_MS) * HOUR_MS).toISOString();
    let transactions = 0;
    const settleAll = () =>
      sideBySide(chunksOf(idsOf(ACCOUNTS), ACCOUNTS_PER_JOB), JOBS_SIDE_BY_SIDE, async (billingAccountIds) => {
        const settled = await settleAccounts({ ctx, input: { billingAccountIds, before } });
        transactions += settled.transactions;
      });
    const settledMs = await timed(settleAll);
    const posted = transactions;
    await settleAll();
    const broken = (await checkBooks({ ctx })).filter(({ ok }) => !ok);
    const ratio = settledMs / inOneMs;
    return {
      title: "Settlement: an hour of calls to the ledger",
      about: `${whole(calls)} calls of ${whole(ACCOUNTS)} accounts to ${ENDPOINTS} endpoints each, in jobs of ${ACCOUNTS_PER_JOB} accounts, ${JOBS_SIDE_BY_SIDE} side by side; a transaction an account. Beside it one statement that adds the same calls up by account, hour, project, endpoint and price and writes the sums.`,
      columns: ["", "seconds", "transactions"],
      rows: [
        ["settled", fixed(settledMs / 1_000, 2), whole(posted)],
        ["added up by one statement", fixed(inOneMs / 1_000, 2), "1"],
      ],
      goals: [
        {
          what: "settled, of one statement",
          goal: `≤ ${times(RATIO_MAX)}`,
          seen: times(ratio),
          isReached: ratio <= RATIO_MAX,
        },
        {
          what: "again, it posts nothing, and the books balance",
          goal: "yes",
          seen: transactions === posted && broken.length === 0 ? "yes" : "no",
          isReached: transactions === posted && broken.length === 0,
        },
      ],
      notes: [`A transaction takes ${fixed((settledMs * JOBS_SIDE_BY_SIDE) / Math.max(posted, 1), 1)} ms.`],
    };
  } finally {
    await database.close();
  }
}

/** Calls of the last whole hour, and what counting them would have left. */
async function seedCalls(database: Database, calls: number): Promise<void> {
  const hour = new Date((Math.floor(Date.now() / HOUR_MS) - 1) * HOUR_MS);
  await seedAccounts(database, ACCOUNTS, new Date(hour.getTime() - HOUR_MS));
  await seeding(database, async (sql) => {
    await sql`
      insert into calls (project_id, started_at, id, billing_account_id, key_id, endpoint_id, mode, outcome, status,
        latency_ms, units, unit_price_micros, charged_micros, request_bytes, response_bytes, source, sequence)
      select 'prj_bench' || lpad((n % ${ACCOUNTS}::int + 1)::text, 8, '0'),
        ${hour}::timestamptz + n % 3600 * interval '1 second', 'call_bench' || lpad(n::text, 10, '0'),
        'ba_bench' || lpad((n % ${ACCOUNTS}::int + 1)::text, 8, '0'), 'key_bench', 'ep_' || (n / ${ACCOUNTS}::int % ${ENDPOINTS}::int),
        'live', 'charged', 200, 12, 1, 1000, 1000, 100, 2000, 'bench', n
      from generate_series(1, ${calls}::int) n`;
    await sql`
      insert into usage_hourly (project_id, hour, endpoint_id, key_id, mode, status, billing_account_id, calls, units,
        charged_micros, latency_ms_total)
      select project_id, ${hour}, endpoint_id, key_id, mode, status, billing_account_id, count(*), sum(units),
        sum(charged_micros), sum(latency_ms)
      from calls group by project_id, endpoint_id, key_id, mode, status, billing_account_id`;
    await sql`
      insert into accruals (billing_account_id, hour, project_id, endpoint_id, unit_price_micros, calls, units, amount_micros)
      select billing_account_id, ${hour}, project_id, endpoint_id, unit_price_micros, count(*), sum(units), sum(charged_micros)
      from calls group by billing_account_id, project_id, endpoint_id, unit_price_micros`;
    await sql`
      update budgets set used = sums.micros
      from (select billing_account_id, sum(amount_micros) as micros from accruals group by billing_account_id) as sums
      where budgets.billing_account_id = sums.billing_account_id`;
  });
}

async function addUp(database: Database): Promise<number> {
  const sql = await reserveConnection(database);
  try {
    await sql`create table sums (like accruals including all)`;
    // Once for the cache.
    await sql`select count(*) from calls`;
    return await timed(
      () => sql`
        insert into sums (billing_account_id, hour, project_id, endpoint_id, unit_price_micros, calls, units, amount_micros)
        select billing_account_id, date_trunc('hour', started_at), project_id, endpoint_id, unit_price_micros, count(*),
          sum(units), sum(charged_micros)
        from calls group by 1, 2, 3, 4, 5`,
    );
  } finally {
    sql.release();
  }
}
