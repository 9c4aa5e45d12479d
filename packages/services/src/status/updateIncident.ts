import type { Incident, updateIncidentInput } from "@tollgate/contracts";
import { statusIncidentUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { eventDataOf, getIncident, toIncident } from "./internal.ts";
import { addUpdate } from "./openIncident.ts";

const { statusIncidents } = schema;

/** Says how an incident goes on. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT once it is resolved */
export async function updateIncident({ ctx, input }: Verb<z.output<typeof updateIncidentInput>>): Promise<Incident> {
  requireAdmin(ctx);
  return withTransaction(ctx, async (ctx) => {
    const before = await getIncident(ctx, input.id);
    if (before.resolvedAt !== null) throw conflict("The incident is resolved", { reason: "incident_resolved" });
    const { status = before.status, impact = before.impact, components = before.components } = input;
    const [row] = await ctx.db
      .update(statusIncidents)
      .set({ status, impact, components, updatedAt: ctx.clock.now() })
      .where(eq(statusIncidents.id, before.id))
      .returning();
    if (row === undefined) throw new Error("An incident was read and is not there");
    await addUpdate(ctx, row, input.message);
    await writeAudit(ctx, { action: "status.updateIncident", subject: row.id, before, after: row });
    await appendEvent(ctx, statusIncidentUpdated, eventDataOf(row));
    return toIncident(ctx, row);
  });
}
