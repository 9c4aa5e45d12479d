import type { Alert, alertIdInput, listAlertsInput, Page, reportAlertInput } from "@tollgate/contracts";
import { alertsAcknowledged, alertsReported } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { actorName, newId, notFound, TollgateError } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { ownedBy, requireOwner, requireService } from "../permissions.ts";
import { ownerOf, toAlert } from "./internal.ts";

const { alerts } = schema;

/** What has fired in a project or a billing account, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function listAlerts({ ctx, input }: Verb<z.output<typeof listAlertsInput>>): Promise<Page<Alert>> {
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  await requireOwner(ctx, owner, "alerts.list");
  const rows = await ctx.db
    .select()
    .from(alerts)
    .where(and(ownedBy(alerts, owner), afterCursor(alerts.createdAt, alerts.id, input.cursor)))
    .orderBy(...newestFirst(alerts.createdAt, alerts.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toAlert);
}

/** Says that somebody is on it; the first to say so is kept. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function acknowledgeAlert({ ctx, input }: Verb<z.output<typeof alertIdInput>>): Promise<Alert> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db.select().from(alerts).where(eq(alerts.id, input.id));
      try {
        const isOwned = row !== undefined && (row.projectId !== null || row.billingAccountId !== null);
        await requireOwner(ctx, isOwned ? row : { projectId: "", billingAccountId: null }, "alerts.acknowledge");
      } catch (error) {
        if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("alert");
        throw error;
      }
      if (row === undefined) throw notFound("alert");
      if (row.acknowledgedAt !== null) return toAlert(row);
      const change = { acknowledgedAt: ctx.clock.now(), acknowledgedBy: actorName(ctx.actor) };
      await ctx.db.update(alerts).set(change).where(eq(alerts.id, row.id));
      await writeAudit(ctx, { action: "alerts.acknowledge", subject: row.id });
      await appendEvent(ctx, alertsAcknowledged, { alertId: row.id, ...ownerOf(row) });
      return toAlert({ ...row, ...change });
    },
    { isIdempotent: true },
  );
}

/** Something that operators should know of, from a service. @throws TollgateError UNAUTHORIZED, FORBIDDEN */
export async function reportAlert({ ctx, input }: Verb<z.output<typeof reportAlertInput>>): Promise<Alert> {
  requireService(ctx);
  return withTransaction(ctx, async (ctx) => {
    const { category, action, label, value, metadata, customerId } = input;
    const [row] = await ctx.db
      .insert(alerts)
      .values({
        id: newId("alert"),
        title: `${category}: ${action}`,
        text: label,
        customerId: customerId ?? null,
        details: { ...metadata, ...(value === undefined ? {} : { value }) },
        createdAt: ctx.clock.now(),
      })
      .returning();
    if (row === undefined) throw new Error("An alert was written and is not there");
    await writeAudit(ctx, { action: "alerts.report", subject: row.id, after: { category, action } });
    await appendEvent(ctx, alertsReported, { alertId: row.id });
    return toAlert(row);
  });
}
