import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";
import type { BookCheck } from "./bookChecks.ts";
import { compare } from "./compare.ts";

/**
 * Usage against the raw calls. Usage is by the hour of the account's time zone, and raw calls are kept up to an instant; an
 * account may have changed its zone, and then has hours of both. So each project is compared from an instant of its own, at
 * which none of its hours is under way: as an hour is of 60 minutes at most, that is one before which, for an hour, no hour
 * began. It is the first such quarter of an hour; all zones have their hours begin at one.
 */
const HOUR_MS = 3_600_000;
const QUARTER_MS = HOUR_MS / 4;
/** Where hours of several zones overlap, it may take some of them until none is under way. */
const QUARTERS = 12;

/** What is compared of calls and of usage, each from its project's instant on. */
function callsAndUsage(from: string, ofCalls: SQL, ofUsage: SQL): SQL {
  const fromMs = Date.parse(from);
  const at = (ms: number): SQL => sql`${new Date(ms).toISOString()}::timestamptz`;
  const quarters = Array.from({ length: QUARTERS }, (_, index) => at(fromMs + index * QUARTER_MS));
  const around = sql`
    select distinct project_id, hour from usage_hourly
    where hour > ${at(fromMs - HOUR_MS)} and hour < ${at(fromMs + QUARTERS * QUARTER_MS)}`;
  // Only of projects that have an hour under way at the first instant; the others are compared from there.
  const starts = sql`
    select project_id, min(case when under_way = 0 then at else ${at(fromMs + QUARTERS * QUARTER_MS)} end) as starts_at
    from (
      select p.project_id, q.at, count(u.hour) as under_way
      from (select distinct project_id from (${around}) as a where hour < ${at(fromMs)}) as p
      cross join (select unnest(array[${sql.join(quarters, sql`, `)}]) as at) as q
      left join (${around}) as u
        on u.project_id = p.project_id and u.hour > q.at - interval '1 hour' and u.hour < q.at
      group by p.project_id, q.at
    ) as tried group by project_id`;
  return compare(
    sql`select c.project_id as subject, ${ofCalls} as amount
        from calls as c left join (${starts}) as s on s.project_id = c.project_id
        where c.started_at >= ${at(fromMs)} and (s.starts_at is null or c.started_at >= s.starts_at)
        group by c.project_id`,
    sql`select u.project_id as subject, ${ofUsage} as amount
        from usage_hourly as u left join (${starts}) as s on s.project_id = u.project_id
        where u.hour >= ${at(fromMs)} and (s.starts_at is null or u.hour >= s.starts_at)
        group by u.project_id`,
  );
}

/** @param comparedFrom the first instant from which on all raw calls are there */
export const callChecks = (comparedFrom: (now: Date) => string) =>
  [
    {
      name: "calls_charged",
      claim: "The calls of an hour cost what usage says they were charged",
      differences: (now) => callsAndUsage(comparedFrom(now), sql`sum(c.charged_micros)`, sql`sum(u.charged_micros)`),
    },
    {
      name: "calls_counted",
      claim: "The calls of an hour are as many as usage says",
      differences: (now) => callsAndUsage(comparedFrom(now), sql`count(*)`, sql`sum(u.calls)`),
    },
  ] as const satisfies readonly BookCheck[];
