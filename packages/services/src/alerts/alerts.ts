import type { Alert, alertIdInput, listAlertsInput, Page, reportAlertInput } from "@tollgate/contracts";
import { alertsAcknowledged, alertsReported } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { actorName, isAdmin, newId, notFound, TollgateError } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { ownedBy, requireAdmin, requireOwner, requireService } from "../permissions.ts";
import type { AlertRow } from "./internal.ts";
import { ownerOf, toAlert } from "./internal.ts";

const { alerts } = schema;
const HOUR_MS = 3_600_000;
const IS_REPORT = and(isNull(alerts.projectId), isNull(alerts.billingAccountId));

/**
 * What has fired in a project or a billing account, newest first; without either, what services have reported, for
 * operators. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function listAlerts({ ctx, input }: Verb<z.output<typeof listAlertsInput>>): Promise<Page<Alert>> {
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  const isOwned = owner.projectId !== null || owner.billingAccountId !== null;
  if (isOwned) await requireOwner(ctx, owner, "alerts.list");
  else requireAdmin(ctx);
  const rows = await ctx.db
    .select()
    .from(alerts)
    .where(and(isOwned ? ownedBy(alerts, owner) : IS_REPORT, afterCursor(alerts.createdAt, alerts.id, input.cursor)))
    .orderBy(...newestFirst(alerts.createdAt, alerts.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toAlert);
}

/**
 * Says that somebody is on it; the first to say so is kept. What services have reported is for operators to take on.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function acknowledgeAlert({ ctx, input }: Verb<z.output<typeof alertIdInput>>): Promise<Alert> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db.select().from(alerts).where(eq(alerts.id, input.id));
      try {
        const isOwned = row !== undefined && (row.projectId !== null || row.billingAccountId !== null);
        const isForOperator = row !== undefined && !isOwned && isAdmin(ctx.actor);
        const owner = isOwned ? row : { projectId: "", billingAccountId: null };
        if (!isForOperator) await requireOwner(ctx, owner, "alerts.acknowledge");
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

/**
 * Something that operators should know of, from a service: it is in their list, and each of them gets a mail, one an hour
 * for reports of the same kind. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
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
    await mailOperators(ctx, row);
    return toAlert(row);
  });
}

async function mailOperators(ctx: ServiceContext, { title, text, createdAt }: AlertRow): Promise<void> {
  const { customers } = schema;
  const operators = await ctx.db
    .select({ customerId: customers.id, email: customers.email })
    .from(customers)
    .where(and(eq(customers.isOperator, true), eq(customers.status, "verified"), eq(customers.isInternal, false)));
  const hour = Math.floor(createdAt.getTime() / HOUR_MS);
  for (const { customerId, email } of operators) {
    await queueEmail(ctx, {
      template: "alert",
      to: email,
      data: { title, text, isResolved: false, dashboardUrl: ctx.settings.publicWebUrl },
      // A service that reports without end is heard once an hour; the list has everything.
      idempotencyKey: `alert-report:${title}:${hour}:${customerId}`,
    });
  }
}
