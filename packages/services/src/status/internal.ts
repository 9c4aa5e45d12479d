import type { ComponentState, Incident } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { desc, eq, inArray } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";

const { statusIncidents, statusIncidentUpdates } = schema;

export type IncidentRow = typeof statusIncidents.$inferSelect;

/** @throws TollgateError NOT_FOUND */
export async function getIncident(ctx: ServiceContext, id: string): Promise<IncidentRow> {
  const [row] = await ctx.db.select().from(statusIncidents).where(eq(statusIncidents.id, id));
  if (row === undefined) throw notFound("incident");
  return row;
}

/** Incidents with what was said of them, in the order given. */
export async function toIncidents(ctx: ServiceContext, rows: readonly IncidentRow[]): Promise<Incident[]> {
  if (rows.length === 0) return [];
  const updates = await ctx.db
    .select()
    .from(statusIncidentUpdates)
    .where(
      inArray(
        statusIncidentUpdates.incidentId,
        rows.map(({ id }) => id),
      ),
    )
    .orderBy(desc(statusIncidentUpdates.createdAt), desc(statusIncidentUpdates.id));
  return rows.map(({ id, title, impact, status, components, createdAt, resolvedAt }) => ({
    id,
    title,
    impact,
    status,
    components,
    createdAt,
    resolvedAt,
    updates: updates
      .filter((update) => update.incidentId === id)
      .map(({ status, message, createdAt }) => ({ status, message, createdAt })),
  }));
}

/** @throws Error when it is not there */
export async function toIncident(ctx: ServiceContext, row: IncidentRow): Promise<Incident> {
  const [incident] = await toIncidents(ctx, [row]);
  if (incident === undefined) throw new Error("An incident is lost");
  return incident;
}

/** What an event says of an incident. */
export const eventDataOf = ({ id, title, impact, status }: IncidentRow) => ({ incidentId: id, title, impact, status });

const SEVERITY: Readonly<Record<ComponentState, number>> = { up: 0, unknown: 1, degraded: 2, down: 3 };

export const worseOf = (one: ComponentState, other: ComponentState): ComponentState =>
  SEVERITY[other] > SEVERITY[one] ? other : one;

/** How an open incident makes its components look. */
export const stateUnder = (incident: Pick<Incident, "impact">): ComponentState =>
  incident.impact === "critical" ? "down" : "degraded";
