import type { Done, webhookEndpointIdInput } from "@tollgate/contracts";
import { webhooksEndpointDeleted } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { describeEndpoint, endpointEventData, requireEndpoint } from "./internal.ts";

/**
 * Deletes an endpoint: nothing more is sent to it, and its secrets are gone at once. Its log goes with time.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function deleteEndpoint({ ctx, input }: Verb<z.output<typeof webhookEndpointIdInput>>): Promise<Done> {
  const { webhookEndpoints } = schema;
  return withTransaction(ctx, async (ctx) => {
    const row = await requireEndpoint(ctx, input.id, "webhooks.delete");
    const now = ctx.clock.now();
    await ctx.db
      .update(webhookEndpoints)
      .set({
        deletedAt: now,
        updatedAt: now,
        status: "disabled",
        disabledReason: "owner",
        secretSealed: "",
        previousSecretSealed: null,
        previousSecretExpiresAt: null,
      })
      .where(eq(webhookEndpoints.id, row.id));
    await writeAudit(ctx, { action: "webhooks.delete", subject: row.id, before: describeEndpoint(row) });
    await appendEvent(ctx, webhooksEndpointDeleted, endpointEventData(row));
    return { ok: true };
  });
}
