import type { Incident, openIncidentInput } from "@tollgate/contracts";
import { statusIncidentOpened } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import type { IncidentRow } from "./internal.ts";
import { eventDataOf, toIncident } from "./internal.ts";

const { statusIncidents, statusIncidentUpdates } = schema;

/** Tells everybody that something is wrong; with a key, once. @throws TollgateError UNAUTHORIZED, FORBIDDEN, CONFLICT */
export async function openIncident({ ctx, input }: Verb<z.output<typeof openIncidentInput>>): Promise<Incident> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const now = ctx.clock.now();
      const { message, title, impact, components, idempotencyKey = null } = input;
      const [row] = await ctx.db
        .insert(statusIncidents)
        .values({
          id: newId("incident"),
          title,
          impact,
          status: "investigating",
          components,
          idempotencyKey,
          createdAt: now,
          updatedAt: now,
        })
        .onConflictDoNothing({ target: statusIncidents.idempotencyKey })
        .returning();
      if (row === undefined) return toIncident(ctx, await getOpened(ctx, idempotencyKey ?? "", title));
      await addUpdate(ctx, row, message);
      await writeAudit(ctx, { action: "status.openIncident", subject: row.id, after: row });
      await appendEvent(ctx, statusIncidentOpened, eventDataOf(row));
      return toIncident(ctx, row);
    },
    { isIdempotent: input.idempotencyKey !== undefined },
  );
}

async function getOpened(ctx: ServiceContext, idempotencyKey: string, title: string): Promise<IncidentRow> {
  const [row] = await ctx.db.select().from(statusIncidents).where(eq(statusIncidents.idempotencyKey, idempotencyKey));
  if (row === undefined) throw new Error("An incident was neither opened nor there before");
  // The title is what never changes of an incident; the rest may have moved on since.
  if (row.title !== title) throw conflict("The key has opened another incident", { reason: "idempotency_key_reused" });
  return row;
}

/** Adds what is said to an incident as it is now, inside a transaction. */
export async function addUpdate(ctx: ServiceContext, row: IncidentRow, message: string): Promise<void> {
  const { id: incidentId, status } = row;
  await ctx.db
    .insert(statusIncidentUpdates)
    .values({ id: newId("incidentUpdate"), incidentId, status, message, createdAt: ctx.clock.now() });
}
