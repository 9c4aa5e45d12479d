import type { WebhookDelivery, webhookDeliveryIdInput } from "@tollgate/contracts";
import { webhooksDeliver, webhooksDeliveryRequested } from "@tollgate/contracts";
import { appendEvent, appendJob, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, notFound, TollgateError } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import type { DeliveryRow, EndpointRow } from "./internal.ts";
import { endpointEventData, requireEndpoint, toDelivery } from "./internal.ts";

/**
 * Sends a delivery again, now, with all its retries: the same body under the same `webhook-id`, so a receiver that has it
 * already can tell. One that waits for its next attempt is tried at once; one that is being delivered is left alone.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `endpoint_disabled`
 */
export async function redeliver({
  ctx,
  input,
}: Verb<z.output<typeof webhookDeliveryIdInput>>): Promise<WebhookDelivery> {
  const { webhookDeliveries } = schema;
  return withTransaction(ctx, async (ctx) => {
    const { delivery, endpoint } = await requireDelivery(ctx, input.id);
    if (endpoint.status === "disabled") {
      throw conflict("The endpoint is switched off: switch it on first", { reason: "endpoint_disabled" });
    }
    const now = ctx.clock.now();
    if (delivery.claimedUntil !== null && delivery.claimedUntil > now) return toDelivery(delivery);
    const [row] = await ctx.db
      .update(webhookDeliveries)
      .set({ status: "pending", attempts: 0, nextAttemptAt: now, claimedUntil: null, completedAt: null })
      .where(eq(webhookDeliveries.id, delivery.id))
      .returning();
    if (row === undefined) throw new Error("A delivery was changed and is not there");
    await appendJob(ctx, webhooksDeliver, { endpointId: endpoint.id, deliveryId: row.id });
    await writeAudit(ctx, { action: "webhooks.redeliver", subject: row.id, before: { status: delivery.status } });
    await appendEvent(ctx, webhooksDeliveryRequested, { ...endpointEventData(endpoint), deliveryId: row.id });
    return toDelivery(row);
  });
}

async function requireDelivery(
  ctx: ServiceContext,
  deliveryId: string,
): Promise<{ readonly delivery: DeliveryRow; readonly endpoint: EndpointRow }> {
  const { webhookDeliveries } = schema;
  const [delivery] = await ctx.db.select().from(webhookDeliveries).where(eq(webhookDeliveries.id, deliveryId));
  try {
    const endpoint = await requireEndpoint(ctx, delivery?.endpointId ?? "", "webhooks.redeliver");
    if (delivery === undefined) throw notFound("webhook delivery");
    return { delivery, endpoint };
  } catch (error) {
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("webhook delivery");
    throw error;
  }
}
