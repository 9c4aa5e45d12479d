import { webhooksDeliver } from "@tollgate/contracts";
import { appendJob, schema } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import type { DeliveryRow } from "./internal.ts";

/** What a receiver gets, as it is written into the body. */
export interface WebhookMessage {
  /** The `webhook-id`: the same at every attempt. */
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly timestamp: Date;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The body, once and for all: what is signed is what is sent, to the byte. */
export const writeBody = ({ id, type, version, timestamp, data }: WebhookMessage): string =>
  JSON.stringify({ id, type, version, timestamp: timestamp.toISOString(), data });

/** Writes a delivery of a message for each endpoint that has none of it yet, inside a transaction, and orders it. */
export async function insertDeliveries(
  ctx: ServiceContext,
  endpointIds: readonly string[],
  message: WebhookMessage,
): Promise<DeliveryRow[]> {
  if (endpointIds.length === 0) return [];
  const now = ctx.clock.now();
  const payload = writeBody(message);
  const { webhookDeliveries } = schema;
  const rows = await ctx.db
    .insert(webhookDeliveries)
    .values(
      endpointIds.map((endpointId) => ({
        id: newId("webhookDelivery"),
        endpointId,
        messageId: message.id,
        eventType: message.type,
        payload,
        status: "pending" as const,
        nextAttemptAt: now,
        createdAt: now,
      })),
    )
    .onConflictDoNothing({ target: [webhookDeliveries.endpointId, webhookDeliveries.messageId] })
    .returning();
  for (const row of rows) await appendJob(ctx, webhooksDeliver, { endpointId: row.endpointId, deliveryId: row.id });
  return rows;
}
