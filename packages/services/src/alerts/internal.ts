import { createHash } from "node:crypto";
import type { Alert, AlertChannel, AlertRule } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { badRequest, notFound, seal, TollgateError, unseal } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { assertOutboundUrl } from "../outbound/index.ts";
import type { Owned, ProjectPermission } from "../permissions.ts";
import { requireOwner } from "../permissions.ts";

export type RuleRow = typeof schema.alertRules.$inferSelect;
export type AlertRow = typeof schema.alerts.$inferSelect;

const PURPOSE = "alerts.channels";

export const sealChannels = (ctx: ServiceContext, channels: readonly AlertChannel[]): string =>
  seal(ctx.settings.masterSecret, PURPOSE, JSON.stringify(channels));
export const unsealChannels = (ctx: ServiceContext, sealed: string): AlertChannel[] =>
  JSON.parse(unseal(ctx.settings.masterSecret, PURPOSE, sealed)) as AlertChannel[];

/** What tells channels apart without saying where they lead. */
export const targetOf = (channel: AlertChannel): string =>
  createHash("sha256").update(JSON.stringify(channel)).digest("base64url");

/**
 * Channels as they are kept. A mail goes to people of the project or the billing account and to nobody else, so a rule is no
 * way to write to strangers. @throws TollgateError BAD_REQUEST that names the field
 */
export async function checkChannels(
  ctx: ServiceContext,
  owner: Owned,
  channels: readonly AlertChannel[],
): Promise<AlertChannel[]> {
  const checked: AlertChannel[] = [];
  for (const [index, channel] of channels.entries()) {
    if (channel.kind !== "email") {
      checked.push({ ...channel, url: assertOutboundUrl(ctx, `channels.${index}.url`, channel.url) });
      continue;
    }
    if (!(await isTheirs(ctx, owner, channel.to))) {
      const message = "Must be the address of somebody who is in it";
      const path = `channels.${index}.to`;
      throw badRequest(`${path}: ${message}`, { reason: "not_a_member", issues: [{ path, message }] });
    }
    checked.push(channel);
  }
  return checked;
}

/** Whether an address is that of somebody who is in the project or administers the billing account. */
export async function isTheirs(ctx: ServiceContext, owner: Owned, email: string): Promise<boolean> {
  const { billingAccountAdmins, customers, projectMembers } = schema;
  const isPerson = and(eq(customers.email, email), eq(customers.status, "verified"));
  const found =
    owner.projectId !== null
      ? await ctx.db
          .select({ id: customers.id })
          .from(projectMembers)
          .innerJoin(customers, eq(customers.id, projectMembers.customerId))
          .where(and(eq(projectMembers.projectId, owner.projectId), isPerson))
      : await ctx.db
          .select({ id: customers.id })
          .from(billingAccountAdmins)
          .innerJoin(customers, eq(customers.id, billingAccountAdmins.customerId))
          .where(and(eq(billingAccountAdmins.billingAccountId, owner.billingAccountId ?? ""), isPerson));
  return found.length > 0;
}

/**
 * A rule that the caller may manage. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function requireRule(
  ctx: ServiceContext,
  ruleId: string,
  permission: ProjectPermission,
): Promise<RuleRow> {
  const [row] = await ctx.db.select().from(schema.alertRules).where(eq(schema.alertRules.id, ruleId));
  try {
    await requireOwner(ctx, row ?? { projectId: "", billingAccountId: null }, permission);
    if (row === undefined) throw notFound("alert rule");
    return row;
  } catch (error) {
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("alert rule");
    throw error;
  }
}

export const ownerOf = (row: { readonly projectId: string | null; readonly billingAccountId: string | null }) => ({
  ...(row.projectId === null ? {} : { projectId: row.projectId }),
  ...(row.billingAccountId === null ? {} : { billingAccountId: row.billingAccountId }),
});

/** What the audit shows of a rule: everything but where its channels lead. */
export const describeRule = ({ name, kind, thresholdMicros, thresholdPercent, windowHours, isEnabled }: RuleRow) => ({
  name,
  kind,
  thresholdMicros,
  thresholdPercent,
  windowHours,
  isEnabled,
});

export function toRule(ctx: ServiceContext, row: RuleRow): AlertRule {
  const channels = unsealChannels(ctx, row.channelsSealed).map((channel) => ({
    kind: channel.kind,
    address: channel.kind === "email" ? channel.to : new URL(channel.url).host,
  }));
  const { channelsSealed: _, evaluatedAt: __, ...rest } = row;
  return { ...rest, channels };
}

export function toAlert(row: AlertRow): Alert {
  const { customerId: _, acknowledgedBy: __, ...alert } = row;
  return alert;
}
