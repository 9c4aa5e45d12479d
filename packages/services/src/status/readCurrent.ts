import type { ComponentState, CurrentStatus, Incident, SelfTestResult, StatusComponent } from "@tollgate/contracts";
import { STATUS_COMPONENTS } from "@tollgate/contracts";
import { isConnectionFailure, schema } from "@tollgate/db";
import { desc, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { stateUnder, toIncidents, worseOf } from "./internal.ts";
import type { ComponentRow } from "./planObservation.ts";
import { blindAfterMs } from "./planObservation.ts";
import { readSelfTest } from "./selfTest/readSelfTest.ts";

const OPEN_INCIDENTS_MAX = 50;
const { statusComponents, statusIncidents } = schema;

/**
 * How everything is now, for everybody. Without a database it still answers: that the database is down, and that nobody
 * knows of the rest.
 */
export async function readCurrent({ ctx }: { readonly ctx: ServiceContext }): Promise<CurrentStatus> {
  const at = ctx.clock.now();
  try {
    const rows = await ctx.db.select().from(statusComponents);
    const open = await ctx.db
      .select()
      .from(statusIncidents)
      .where(isNull(statusIncidents.resolvedAt))
      .orderBy(desc(statusIncidents.createdAt), desc(statusIncidents.id))
      .limit(OPEN_INCIDENTS_MAX);
    return summarize(rows, await toIncidents(ctx, open), at, await readSelfTest(ctx));
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
    return summarize(undefined, [], at);
  }
}

/** The answer from what is known; undefined rows say that the database cannot be asked. */
export function summarize(
  rows: readonly ComponentRow[] | undefined,
  incidents: readonly Incident[],
  at: Date,
  selfTest: SelfTestResult | null = null,
): CurrentStatus {
  const byName = new Map(rows?.map((row) => [row.name, row]));
  const components = STATUS_COMPONENTS.map((name) => {
    const row = byName.get(name);
    const measured = measuredState(name, row, rows !== undefined, at);
    const state = incidents
      .filter((incident) => incident.components.includes(name))
      .reduce((worst, incident) => worseOf(worst, stateUnder(incident)), measured);
    return {
      name,
      state,
      since: row !== undefined && state === row.state ? row.since : null,
      checkedAt: row?.checkedAt ?? null,
      latencyMs: row?.latencyMs ?? null,
    };
  });
  const states = components
    // A deployment may have switched it off: nobody misses it then.
    .filter((component) => component.name !== "selfTest" || component.state !== "unknown")
    .map((component) => component.state);
  const state = [...states, ...incidents.map(stateUnder)].reduce(worseOf, "up");
  return { state, components, selfTest, incidents: [...incidents], at };
}

function measuredState(
  name: StatusComponent,
  row: ComponentRow | undefined,
  hasDatabase: boolean,
  at: Date,
): ComponentState {
  if (!hasDatabase) return name === "database" ? "down" : name === "api" ? "up" : "unknown";
  if (row === undefined) return "unknown";
  if (at.getTime() - row.checkedAt.getTime() <= blindAfterMs(name)) return row.state;
  // It is the workers who look. What has not been looked at is not known, except for what answers just now.
  if (name === "workers") return "down";
  return name === "api" || name === "database" ? "up" : "unknown";
}
