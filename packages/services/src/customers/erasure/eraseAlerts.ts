import { schema } from "@tollgate/db";
import { inArray, or } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findAdministeredAlone, findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/** Alerts of what is left without anybody: rules with their channels, what fired, and what is on its way to a channel. */
export async function eraseAlerts(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { alertMessages, alertRules, alerts } = schema;
  const projectIds = await findOwnedAlone(ctx, customer.id);
  const billingAccountIds = await findAdministeredAlone(ctx, customer.id);
  const isAlone = (table: typeof alerts | typeof alertRules) =>
    or(inArray(table.projectId, projectIds), inArray(table.billingAccountId, billingAccountIds));
  const rules = await ctx.db.delete(alertRules).where(isAlone(alertRules)).returning({ id: alertRules.id });
  const fired = ctx.db.select({ id: alerts.id }).from(alerts).where(isAlone(alerts));
  await ctx.db.delete(alertMessages).where(inArray(alertMessages.alertId, fired));
  await ctx.db.delete(alerts).where(isAlone(alerts));
  return { rules: rules.length };
}
