import type { ReadUsageInput } from "@tollgate/contracts";
import { readUsageInput } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { createDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { readUsage } from "@tollgate/services/usage";
import { contextOf } from "../identity/identityContext.ts";
import { createOwnDatabase, projectIdAt, seedPeople } from "../identity/seedPeople.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, median, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { reserveConnection } from "../reserveConnection.ts";

const CALLS = 10_000_000;
const DAYS = 30;
const KEYS = 5;
const ENDPOINTS = 4;
const STATUSES = [200, 404] as const;
const PEOPLE = 100;
const WARMUP_ROUNDS = 5;
const ROUNDS = 40;
const SERIES_MS_MAX = 50;
const HOURS_PER_DAY = 24;
const DAY_MS = 86_400_000;

const KINDS = [
  { name: "by the day", input: { granularity: "day" } },
  { name: "by the hour", input: { granularity: "hour" } },
  { name: "by the day and endpoint", input: { granularity: "day", groupBy: "endpoint" } },
  { name: "by the month and key", input: { granularity: "month", groupBy: "key" } },
  { name: "by the day and status", input: { granularity: "day", groupBy: "status" } },
] as const;

/** A project's usage over ten million calls, as a dashboard asks for it. */
export async function benchSeries(place: BenchPlace, servers: RunningServers): Promise<Section> {
  const url = await createOwnDatabase(servers.databaseUrl, "bench_series");
  const database = createDatabase({ url, applicationName: "bench", connectionsMax: 2 });
  try {
    const to = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS);
    const from = new Date(to.getTime() - DAYS * DAY_MS);
    place.log(`seeding the usage of ${whole(CALLS)} calls`);
    await seedPeople(database, PEOPLE);
    const rows = await seedUsage(database, from);
    await place.quiet();
    const ctx = contextOf(database, {
      kind: "customer",
      customerId: `cus_bench${"1".padStart(10, "0")}`,
      sessionId: "ses_bench",
      isOperator: false,
    });
    const seen: { name: string; elapsed: number[] }[] = [];
    for (const { name, input } of KINDS) {
      const asked = { projectId: projectIdAt(1), from: from.toISOString(), to: to.toISOString(), ...input };
      const parsed: ReadUsageInput = readUsageInput.parse(asked);
      const elapsed: number[] = [];
      for (let round = -WARMUP_ROUNDS; round < ROUNDS; round += 1) {
        const startedAt = performance.now();
        const { totals } = await readUsage({ ctx, input: parsed });
        if (totals.calls !== CALLS) throw new Error(`The series has ${totals.calls} calls instead of ${CALLS}`);
        if (round >= 0) elapsed.push(performance.now() - startedAt);
      }
      seen.push({ name, elapsed });
    }
    return {
      title: "Usage: a series over ten million calls",
      about: `\`usage.read\` in process, one after the other, ${ROUNDS} times each: ${DAYS} days of a project with ${KEYS} keys and ${ENDPOINTS} endpoints, ${whole(CALLS)} calls in ${whole(rows)} rows of hours on PostgreSQL, beside those of other projects.`,
      columns: ["", "median ms", "slowest ms"],
      rows: seen.map(({ name, elapsed }) => [name, fixed(median(elapsed), 1), fixed(Math.max(...elapsed), 1)]),
      goals: seen.map(({ name, elapsed }): Goal => {
        const ms = median(elapsed);
        const goal = `≤ ${SERIES_MS_MAX} ms`;
        return { what: name, goal, seen: `${fixed(ms, 1)} ms`, isReached: ms <= SERIES_MS_MAX };
      }),
      notes: [],
    };
  } finally {
    await database.close();
  }
}

/** The folded usage of the first project, and a tenth of it for each of the others. @returns its rows */
async function seedUsage(database: Database, from: Date): Promise<number> {
  const rows = DAYS * HOURS_PER_DAY * KEYS * ENDPOINTS * STATUSES.length;
  const others = PEOPLE / 10 - 1;
  const seeding = await reserveConnection(database);
  try {
    await seeding`
      insert into usage_hourly (project_id, hour, endpoint_id, key_id, mode, status, billing_account_id, calls, units,
                                charged_micros, latency_ms_total)
      select 'prj_bench' || lpad(p::text, 10, '0'), ${from.toISOString()}::timestamptz + h * interval '1 hour',
        'ep_bench' || e, 'key_bench' || k, 'live', s, 'ba_bench' || lpad(p::text, 10, '0'), c.calls, c.calls,
        c.calls * 1000, c.calls * 20
      from generate_series(1, ${others + 1}::int) p, generate_series(0, ${DAYS * HOURS_PER_DAY - 1}::int) h,
        generate_series(1, ${ENDPOINTS}::int) e, generate_series(1, ${KEYS}::int) k, unnest(${[...STATUSES]}::int[]) s,
        lateral (select ${Math.floor(CALLS / rows)}::int8
          + case when h = 0 and e = 1 and k = 1 and s = ${STATUSES[0]}::int then ${CALLS % rows}::int8 else 0 end as calls) c`;
    await seeding`vacuum analyze`;
  } finally {
    seeding.release();
  }
  return rows;
}
