import type { updateWebhookEndpointInput, WebhookEndpoint } from "@tollgate/contracts";
import { webhooksDeliver, webhooksEndpointUpdated } from "@tollgate/contracts";
import { appendEvent, appendJob, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { assertOutboundUrl } from "../outbound/index.ts";
import type { EndpointRow } from "./internal.ts";
import { describeEndpoint, endpointEventData, requireEndpoint, toEndpoint } from "./internal.ts";

/**
 * Changes an endpoint; what is left out stays. Switched off it is told of nothing new, and what waits for it waits on;
 * switched on again, by its owner alone, it gets that.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; BAD_REQUEST for a URL that cannot be called
 */
export async function updateEndpoint({
  ctx,
  input,
}: Verb<z.output<typeof updateWebhookEndpointInput>>): Promise<WebhookEndpoint> {
  const { webhookEndpoints } = schema;
  return withTransaction(
    ctx,
    async (ctx) => {
      const before = await requireEndpoint(ctx, input.id, "webhooks.update");
      const now = ctx.clock.now();
      const [after] = await ctx.db
        .update(webhookEndpoints)
        .set({
          ...(input.url === undefined ? {} : { url: assertOutboundUrl(ctx, "url", input.url) }),
          ...(input.events === undefined ? {} : { events: input.events }),
          ...(input.description === undefined ? {} : { description: input.description }),
          ...switchTo(before, input.isEnabled, now),
          updatedAt: now,
        })
        .where(eq(webhookEndpoints.id, before.id))
        .returning();
      if (after === undefined) throw new Error("An endpoint was changed and is not there");
      if (before.status === "disabled" && after.status === "enabled") {
        await appendJob(ctx, webhooksDeliver, { endpointId: after.id });
      }
      await writeAudit(ctx, {
        action: "webhooks.update",
        subject: after.id,
        before: describeEndpoint(before),
        after: describeEndpoint(after),
      });
      await appendEvent(ctx, webhooksEndpointUpdated, endpointEventData(after));
      return toEndpoint(after, now);
    },
    { isIdempotent: true },
  );
}

function switchTo(before: EndpointRow, isEnabled: boolean | undefined, now: Date): Partial<EndpointRow> {
  if (isEnabled === undefined || isEnabled === (before.status === "enabled")) return {};
  // Switched on it has a clean record: it is not given up for what was before.
  if (isEnabled) return { status: "enabled", disabledReason: null, disabledAt: null, failingSince: null };
  return { status: "disabled", disabledReason: "owner", disabledAt: now };
}
