import type { listWebhookEndpointsInput, Page, WebhookEndpoint } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { ownedBy, requireOwner } from "../permissions.ts";
import { toEndpoint } from "./internal.ts";

/** The endpoints of a project or a billing account, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function listEndpoints({
  ctx,
  input,
}: Verb<z.output<typeof listWebhookEndpointsInput>>): Promise<Page<WebhookEndpoint>> {
  const { webhookEndpoints: endpoints } = schema;
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  await requireOwner(ctx, owner, "webhooks.list");
  const rows = await ctx.db
    .select()
    .from(endpoints)
    .where(
      and(
        ownedBy(endpoints, owner),
        isNull(endpoints.deletedAt),
        afterCursor(endpoints.createdAt, endpoints.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(endpoints.createdAt, endpoints.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, (row) => toEndpoint(row, ctx.clock.now()));
}
