import type { createWebhookEndpointInput, WebhookSecret } from "@tollgate/contracts";
import { webhooksEndpointCreated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId } from "@tollgate/kernel";
import { and, count, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { assertOutboundUrl } from "../outbound/index.ts";
import type { Owned } from "../permissions.ts";
import { ownedBy, requireOwner } from "../permissions.ts";
import { describeEndpoint, endpointEventData, newSecret, sealSecret, toEndpoint } from "./internal.ts";

/** Endpoints of one project or billing account. */
const ENDPOINTS_MAX = 20;
const { webhookEndpoints } = schema;

/**
 * Makes an endpoint of a project or a billing account. Its signing secret is in the answer and nowhere else. An endpoint of
 * a billing account is told of the account and of all its projects.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; BAD_REQUEST for a URL that cannot be called; CONFLICT
 * `too_many_endpoints`
 */
export async function createEndpoint({
  ctx,
  input,
}: Verb<z.output<typeof createWebhookEndpointInput>>): Promise<WebhookSecret> {
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  const secret = newSecret();
  return withTransaction(ctx, async (ctx) => {
    await requireOwner(ctx, owner, "webhooks.createEndpoint");
    const url = assertOutboundUrl(ctx, "url", input.url);
    await assertRoom(ctx, owner);
    const now = ctx.clock.now();
    const [row] = await ctx.db
      .insert(webhookEndpoints)
      .values({
        id: newId("webhookEndpoint"),
        ...owner,
        url,
        description: input.description,
        events: input.events,
        status: "enabled",
        secretSealed: sealSecret(ctx, secret),
        createdAt: now,
        updatedAt: now,
      })
      .returning();
    if (row === undefined) throw new Error("An endpoint was written and is not there");
    await writeAudit(ctx, { action: "webhooks.createEndpoint", subject: row.id, after: describeEndpoint(row) });
    await appendEvent(ctx, webhooksEndpointCreated, endpointEventData(row));
    return { endpoint: toEndpoint(row, now), secret };
  });
}

async function assertRoom(ctx: ServiceContext, owner: Owned): Promise<void> {
  const [row] = await ctx.db
    .select({ endpoints: count() })
    .from(webhookEndpoints)
    .where(and(ownedBy(webhookEndpoints, owner), isNull(webhookEndpoints.deletedAt)));
  if ((row?.endpoints ?? 0) < ENDPOINTS_MAX) return;
  throw conflict(`There are ${ENDPOINTS_MAX} endpoints already: delete one first`, { reason: "too_many_endpoints" });
}
