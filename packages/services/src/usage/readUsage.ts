import type { Granularity, ReadUsageInput, Usage, UsageGroup } from "@tollgate/contracts";
import { dayPeriod, localHourStartMs, monthPeriod, TollgateError } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { sql } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import type { ProjectRow } from "../permissions.ts";
import { requireMember } from "../permissions.ts";
import type { SumRow } from "./internal.ts";
import {
  addSums,
  findQuotaEndpoints,
  isServed,
  readEndpointQuotas,
  readPayer,
  readTierQuota,
  toSums,
} from "./internal.ts";

/** A series that is longer than this is of no use to a reader: they should ask for less at once. */
const POINTS_MAX = 20_000;

/**
 * A project's calls by the hour, day or month of its billing account's time zone, with what is left of its quotas.
 * Usage is kept by the hours of that zone, so every call counts to the day and month that its quotas are of. What was
 * counted before the account changed its zone stays in the hours of the old one, and counts to the day in which they begin.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND; UNPROCESSABLE `too_many_points`
 */
export async function readUsage({ ctx, input }: Verb<ReadUsageInput>): Promise<Usage> {
  const project = await requireMember(ctx, input.projectId, "usage.read", { orAdmin: true });
  const payer = await readPayer(ctx, project);
  const series = await readSeries(ctx, project, payer.timeZone, input);
  const [tierFree, endpoints] = await Promise.all([
    readTierQuota(ctx, payer),
    findQuotaEndpoints(ctx, payer).then((named) => readEndpointQuotas(ctx, payer, named)),
  ]);
  return { series, totals: addSums(series), quota: { tierFree, endpoints } };
}

interface PointRow extends SumRow {
  readonly at_seconds: string;
  readonly label: string | null;
}

async function readSeries(
  ctx: ServiceContext,
  project: ProjectRow,
  timeZone: string,
  input: ReadUsageInput,
): Promise<Usage["series"]> {
  const from = new Date(localHourStartMs(input.from.getTime(), timeZone)).toISOString();
  const rows = await ctx.db.execute<PointRow>(sql`
    select extract(epoch from min(hour)) as at_seconds, label,
      sum(case when ${isServed} then calls else 0 end) as calls,
      sum(case when ${isServed} then 0 else calls end) as failures,
      sum(units) as units, sum(charged_micros) as charged
    from (
      select u.hour, u.status, u.calls, u.units, u.charged_micros,
        ${bucketOf(input.granularity, timeZone)} as bucket, ${labelOf(input.groupBy)} as label
      from usage_hourly as u
      left join endpoints as e on e.id = u.endpoint_id
      left join apis as a on a.id = e.api_id
      where u.project_id = ${project.id} and u.mode = ${input.mode}
        and u.hour >= ${from}::timestamptz and u.hour < ${input.to.toISOString()}::timestamptz
    ) as hours
    group by bucket, label order by min(hour), label limit ${POINTS_MAX + 1}`);
  if (rows.length > POINTS_MAX) {
    throw new TollgateError("UNPROCESSABLE", "The series has too many points: ask for less time or larger steps", {
      reason: "too_many_points",
    });
  }
  return rows.map((row) => ({
    at: new Date(startOf(input.granularity, Number(row.at_seconds) * 1_000, timeZone)),
    ...(input.groupBy === undefined ? {} : { group: row.label ?? "" }),
    ...toSums(row),
  }));
}

/** What the hours of one point have in common. Hours go by their instants: the local hour of one may come twice. */
function bucketOf(granularity: Granularity, timeZone: string): SQL {
  return granularity === "hour"
    ? sql`u.hour`
    : sql`date_trunc(${granularity}::text, u.hour at time zone ${timeZone}::text)`;
}

function labelOf(group: UsageGroup | undefined): SQL {
  switch (group) {
    case undefined:
      return sql`''`;
    case "api":
      return sql`coalesce(a.name, u.endpoint_id)`;
    case "endpoint":
      return sql`coalesce(a.name || '/' || e.name, u.endpoint_id)`;
    case "key":
      return sql`u.key_id`;
    case "status":
      return sql`u.status::text`;
  }
}

function startOf(granularity: Granularity, atMs: number, timeZone: string): number {
  switch (granularity) {
    case "hour":
      return atMs;
    case "day":
      return dayPeriod(atMs, timeZone).startMs;
    case "month":
      return monthPeriod(atMs, timeZone).startMs;
  }
}
