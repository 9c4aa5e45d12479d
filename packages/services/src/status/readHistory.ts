import type { StatusHistory, statusHistoryInput } from "@tollgate/contracts";
import { STATUS_COMPONENTS } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { desc, gte, isNull, or } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { toIncidents } from "./internal.ts";
import { dayOf } from "./planObservation.ts";

const DAY_MS = 86_400_000;
const INCIDENTS_MAX = 100;
const { statusDays, statusIncidents } = schema;

/** How the components have been, day by day, and what operators said of it, for everybody. */
export async function readHistory({ ctx, input }: Verb<z.output<typeof statusHistoryInput>>): Promise<StatusHistory> {
  const nowMs = ctx.clock.nowMs();
  const days = Array.from({ length: input.days }, (_, nth) => dayOf(nowMs - (input.days - 1 - nth) * DAY_MS));
  const firstDay = days[0] ?? dayOf(nowMs);
  const rows = await ctx.db.select().from(statusDays).where(gte(statusDays.day, firstDay));
  const byKey = new Map(rows.map((row) => [`${row.component} ${row.day}`, row]));
  const incidents = await ctx.db
    .select()
    .from(statusIncidents)
    .where(or(isNull(statusIncidents.resolvedAt), gte(statusIncidents.resolvedAt, new Date(firstDay))))
    .orderBy(desc(statusIncidents.createdAt), desc(statusIncidents.id))
    .limit(INCIDENTS_MAX);
  const components = STATUS_COMPONENTS.map((name) => {
    const ofComponent = days.map((day) => {
      const { upMs = 0, degradedMs = 0, downMs = 0 } = byKey.get(`${name} ${day}`) ?? {};
      return { day, upMs, degradedMs, downMs };
    });
    return { name, uptimeBasisPoints: uptimeOf(ofComponent), days: ofComponent };
  });
  return { components, incidents: await toIncidents(ctx, incidents) };
}

/** Rounded down: what was ever away does not show as never. */
export function uptimeOf(
  days: readonly { readonly upMs: number; readonly degradedMs: number; readonly downMs: number }[],
): number | null {
  const answered = days.reduce((sum, { upMs, degradedMs }) => sum + upMs + degradedMs, 0);
  const total = days.reduce((sum, { downMs }) => sum + downMs, answered);
  return total === 0 ? null : Math.floor((answered * 10_000) / total);
}
