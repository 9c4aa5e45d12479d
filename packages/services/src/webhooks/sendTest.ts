import type { WebhookDelivery, webhookEndpointIdInput } from "@tollgate/contracts";
import { webhooksDeliveryRequested } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId, TollgateError } from "@tollgate/kernel";
import { and, count, eq, gt } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { insertDeliveries } from "./insertDeliveries.ts";
import { endpointEventData, requireEndpoint, toDelivery } from "./internal.ts";

const TEST_TYPE = "webhooks.test";
const TESTS_PER_MINUTE = 10;
const MINUTE_MS = 60_000;

/**
 * Sends a `webhooks.test` event to an endpoint, whatever it has subscribed to, on the path of all others.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `endpoint_disabled`; TOO_MANY_REQUESTS
 */
export async function sendTest({
  ctx,
  input,
}: Verb<z.output<typeof webhookEndpointIdInput>>): Promise<WebhookDelivery> {
  return withTransaction(ctx, async (ctx) => {
    const endpoint = await requireEndpoint(ctx, input.id, "webhooks.sendTest");
    if (endpoint.status === "disabled") {
      throw conflict("The endpoint is switched off: switch it on first", { reason: "endpoint_disabled" });
    }
    await assertFewTests(ctx, endpoint.id);
    const data = { endpointId: endpoint.id, message: "It works" };
    const message = { id: newId("event"), type: TEST_TYPE, version: 1, timestamp: ctx.clock.now(), data };
    const [row] = await insertDeliveries(ctx, [endpoint.id], message);
    if (row === undefined) throw new Error("A delivery was written and is not there");
    await writeAudit(ctx, { action: "webhooks.sendTest", subject: endpoint.id, after: { deliveryId: row.id } });
    await appendEvent(ctx, webhooksDeliveryRequested, { ...endpointEventData(endpoint), deliveryId: row.id });
    return toDelivery(row);
  });
}

/** A button is not a way to flood somebody. */
async function assertFewTests(ctx: ServiceContext, endpointId: string): Promise<void> {
  const { webhookDeliveries: deliveries } = schema;
  const [row] = await ctx.db
    .select({ tests: count() })
    .from(deliveries)
    .where(
      and(
        eq(deliveries.endpointId, endpointId),
        eq(deliveries.eventType, TEST_TYPE),
        gt(deliveries.createdAt, new Date(ctx.clock.nowMs() - MINUTE_MS)),
      ),
    );
  if ((row?.tests ?? 0) < TESTS_PER_MINUTE) return;
  throw new TollgateError("TOO_MANY_REQUESTS", "Many tests were sent within a minute", {
    reason: "too_many_tests",
    retryAfterSeconds: MINUTE_MS / 1_000,
  });
}
