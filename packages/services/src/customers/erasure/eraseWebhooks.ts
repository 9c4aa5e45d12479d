import { schema } from "@tollgate/db";
import { inArray, or } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findAdministeredAlone, findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/** Webhook endpoints of what is left without anybody: they say nothing any more, and their log is gone. */
export async function eraseWebhooks(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { webhookDeliveries, webhookEndpoints } = schema;
  const now = ctx.clock.now();
  const endpoints = await ctx.db
    .update(webhookEndpoints)
    .set({
      url: "https://erased.invalid/",
      description: "",
      status: "disabled",
      disabledReason: "owner",
      secretSealed: "",
      previousSecretSealed: null,
      previousSecretExpiresAt: null,
      deletedAt: now,
      updatedAt: now,
    })
    .where(
      or(
        inArray(webhookEndpoints.projectId, await findOwnedAlone(ctx, customer.id)),
        inArray(webhookEndpoints.billingAccountId, await findAdministeredAlone(ctx, customer.id)),
      ),
    )
    .returning({ id: webhookEndpoints.id });
  const ids = endpoints.map(({ id }) => id);
  await ctx.db.delete(webhookDeliveries).where(inArray(webhookDeliveries.endpointId, ids));
  return { endpoints: ids.length };
}
