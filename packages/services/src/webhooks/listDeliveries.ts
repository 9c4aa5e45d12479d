import type { listWebhookDeliveriesInput, Page, WebhookDelivery } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireEndpoint, toDelivery } from "./internal.ts";

/** What was and will be sent to an endpoint, newest first, with each attempt. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function listDeliveries({
  ctx,
  input,
}: Verb<z.output<typeof listWebhookDeliveriesInput>>): Promise<Page<WebhookDelivery>> {
  const { webhookDeliveries: deliveries } = schema;
  const endpoint = await requireEndpoint(ctx, input.endpointId, "webhooks.listDeliveries");
  const rows = await ctx.db
    .select()
    .from(deliveries)
    .where(
      and(
        eq(deliveries.endpointId, endpoint.id),
        input.status === undefined ? undefined : eq(deliveries.status, input.status),
        input.eventType === undefined ? undefined : eq(deliveries.eventType, input.eventType),
        afterCursor(deliveries.createdAt, deliveries.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(deliveries.createdAt, deliveries.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toDelivery);
}
