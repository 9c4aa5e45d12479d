import type { rotateWebhookSecretInput, WebhookSecret } from "@tollgate/contracts";
import { webhooksSecretRotated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { endpointEventData, newSecret, requireEndpoint, sealSecret, toEndpoint } from "./internal.ts";

/**
 * A new signing secret. For the overlap the old one signs as well, so a receiver may change over whenever it likes. A
 * second rotation within an overlap ends the oldest secret.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function rotateSecret({
  ctx,
  input,
}: Verb<z.output<typeof rotateWebhookSecretInput>>): Promise<WebhookSecret> {
  const { webhookEndpoints } = schema;
  const secret = newSecret();
  return withTransaction(ctx, async (ctx) => {
    const row = await requireEndpoint(ctx, input.id, "webhooks.rotateSecret");
    const now = ctx.clock.now();
    const hasOverlap = input.overlapSeconds > 0;
    const change = {
      secretSealed: sealSecret(ctx, secret),
      previousSecretSealed: hasOverlap ? row.secretSealed : null,
      previousSecretExpiresAt: hasOverlap ? new Date(now.getTime() + input.overlapSeconds * 1_000) : null,
      updatedAt: now,
    };
    await ctx.db.update(webhookEndpoints).set(change).where(eq(webhookEndpoints.id, row.id));
    await writeAudit(ctx, {
      action: "webhooks.rotateSecret",
      subject: row.id,
      after: { previousSecretExpiresAt: change.previousSecretExpiresAt },
    });
    await appendEvent(ctx, webhooksSecretRotated, endpointEventData(row));
    return { endpoint: toEndpoint({ ...row, ...change }, now), secret };
  });
}
