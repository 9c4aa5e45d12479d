import { randomBytes } from "node:crypto";
import type { WebhookDelivery, WebhookEndpoint } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound, seal, TollgateError, unseal } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { ProjectPermission } from "../permissions.ts";
import { requireOwner } from "../permissions.ts";

export type EndpointRow = typeof schema.webhookEndpoints.$inferSelect;
export type DeliveryRow = typeof schema.webhookDeliveries.$inferSelect;

const SECRET_BYTES = 32;
const SECRET_PURPOSE = "webhooks.secret";

/** A new signing secret in the form of the Standard Webhooks specification. */
export const newSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString("base64")}`;
export const sealSecret = (ctx: ServiceContext, secret: string): string =>
  seal(ctx.settings.masterSecret, SECRET_PURPOSE, secret);
export const unsealSecret = (ctx: ServiceContext, sealed: string): string =>
  unseal(ctx.settings.masterSecret, SECRET_PURPOSE, sealed);

/**
 * An endpoint that the caller may manage: a developer of its project, or an admin of its billing account.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function requireEndpoint(
  ctx: ServiceContext,
  endpointId: string,
  permission: ProjectPermission,
): Promise<EndpointRow> {
  const { webhookEndpoints } = schema;
  const [row] = await ctx.db.select().from(webhookEndpoints).where(eq(webhookEndpoints.id, endpointId));
  try {
    // Asked also for one that is not there, so that a caller without a login learns just that.
    await requireOwner(ctx, row ?? { projectId: "", billingAccountId: null }, permission);
    if (row === undefined || row.deletedAt !== null) throw notFound("webhook endpoint");
    return row;
  } catch (error) {
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("webhook endpoint");
    throw error;
  }
}

/** Whom an event of an endpoint names. */
export const endpointEventData = (row: EndpointRow) => ({
  endpointId: row.id,
  ...(row.projectId === null ? {} : { projectId: row.projectId }),
  ...(row.billingAccountId === null ? {} : { billingAccountId: row.billingAccountId }),
});

/** What the audit shows of an endpoint: everything but its secrets. */
export const describeEndpoint = ({ url, events, status, description }: EndpointRow) => ({
  url,
  events,
  status,
  description,
});

export function toEndpoint(row: EndpointRow, now: Date): WebhookEndpoint {
  const expiresAt = row.previousSecretExpiresAt;
  return {
    id: row.id,
    projectId: row.projectId,
    billingAccountId: row.billingAccountId,
    url: row.url,
    description: row.description,
    events: row.events,
    status: row.status,
    disabledReason: row.disabledReason,
    failingSince: row.failingSince,
    previousSecretExpiresAt: expiresAt !== null && expiresAt > now ? expiresAt : null,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

export function toDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    id: row.id,
    endpointId: row.endpointId,
    messageId: row.messageId,
    eventType: row.eventType,
    status: row.status,
    attempts: row.attempts,
    nextAttemptAt: row.status === "pending" ? row.nextAttemptAt : null,
    payload: row.payload,
    attemptLog: [...row.attemptLog],
    createdAt: row.createdAt,
    completedAt: row.completedAt,
  };
}
