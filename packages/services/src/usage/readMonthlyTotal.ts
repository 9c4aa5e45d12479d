import type { MonthlyTotal, monthlyTotalInput } from "@tollgate/contracts";
import type { Period } from "@tollgate/kernel";
import { monthPeriod } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireMember } from "../permissions.ts";
import type { SumRow } from "./internal.ts";
import { addSums, isServed, readNamedEndpoints, readPayer, toSums } from "./internal.ts";

/** The tables with the most events; the names are the senders' and may be many. */
const TABLES_MAX = 200;

export interface EndpointSumRow extends SumRow {
  readonly endpoint_id: string;
}

/**
 * What a project called and was charged in a calendar month of its billing account's time zone, and at which endpoints.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function readMonthlyTotal({
  ctx,
  input,
}: Verb<z.output<typeof monthlyTotalInput>>): Promise<MonthlyTotal> {
  const project = await requireMember(ctx, input.projectId, "usage.monthlyTotal", { orAdmin: true });
  const { timeZone, month: presentMonth } = await readPayer(ctx, project);
  const month = input.month === undefined ? presentMonth : monthNamed(input.month, timeZone);
  const rows = await sumByEndpoint(ctx, project.id, month);
  const named = await readNamedEndpoints(
    ctx,
    rows.map((row) => row.endpoint_id),
  );
  const endpoints = rows.map((row) => ({
    endpointId: row.endpoint_id,
    api: named.get(row.endpoint_id)?.api ?? "",
    endpoint: named.get(row.endpoint_id)?.endpoint ?? "",
    ...toSums(row),
  }));
  return { month: month.id, ...addSums(endpoints), endpoints, events: await countEvents(ctx, project.id, month) };
}

async function countEvents(ctx: ServiceContext, projectId: string, month: Period): Promise<MonthlyTotal["events"]> {
  const rows = await ctx.db.execute<{ type: string; events: string }>(sql`
    select type, sum(events) as events from usage_events_hourly
    where project_id = ${projectId} and hour >= ${new Date(month.startMs).toISOString()}::timestamptz
      and hour < ${new Date(month.endMs).toISOString()}::timestamptz
    group by type order by sum(events) desc, type limit ${TABLES_MAX}`);
  return rows.map((row) => ({ table: row.type, events: Number(row.events) }));
}

/** A project's live calls of a month by endpoint, the most charged first. */
export async function sumByEndpoint(ctx: ServiceContext, projectId: string, month: Period): Promise<EndpointSumRow[]> {
  return ctx.db.execute<EndpointSumRow>(sql`
    select endpoint_id,
      sum(case when ${isServed} then calls else 0 end) as calls,
      sum(case when ${isServed} then 0 else calls end) as failures,
      sum(units) as units, sum(charged_micros) as charged
    from usage_hourly
    where project_id = ${projectId} and mode = 'live'
      and hour >= ${new Date(month.startMs).toISOString()}::timestamptz
      and hour < ${new Date(month.endMs).toISOString()}::timestamptz
    group by endpoint_id order by sum(charged_micros) desc, sum(calls) desc, endpoint_id`);
}

/** No zone is so far from UTC that the middle of a month is in another one. */
function monthNamed(name: string, timeZone: string): Period {
  return monthPeriod(new Date(`${name}-15T12:00:00Z`).getTime(), timeZone);
}
