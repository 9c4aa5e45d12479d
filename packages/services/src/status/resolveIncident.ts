import type { Incident, resolveIncidentInput } from "@tollgate/contracts";
import { statusIncidentResolved } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { eventDataOf, getIncident, toIncident } from "./internal.ts";
import { addUpdate } from "./openIncident.ts";

const { statusIncidents } = schema;

/** Says that an incident is over. Saying it again changes nothing. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND */
export async function resolveIncident({ ctx, input }: Verb<z.output<typeof resolveIncidentInput>>): Promise<Incident> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const before = await getIncident(ctx, input.id);
      if (before.resolvedAt !== null) return toIncident(ctx, before);
      const now = ctx.clock.now();
      const [row] = await ctx.db
        .update(statusIncidents)
        .set({ status: "resolved", resolvedAt: now, updatedAt: now })
        .where(eq(statusIncidents.id, before.id))
        .returning();
      if (row === undefined) throw new Error("An incident was read and is not there");
      await addUpdate(ctx, row, input.message);
      await writeAudit(ctx, { action: "status.resolveIncident", subject: row.id, before, after: row });
      await appendEvent(ctx, statusIncidentResolved, eventDataOf(row));
      return toIncident(ctx, row);
    },
    { isIdempotent: true },
  );
}
