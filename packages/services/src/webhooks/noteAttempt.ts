import { webhooksEndpointDisabled } from "@tollgate/contracts";
import type { WebhookAttempt } from "@tollgate/db";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { listResponsible } from "../notifications/audience.ts";
import type { ClaimedDelivery } from "./deliverWebhooks.ts";
import type { DeliveryRow, EndpointRow } from "./internal.ts";
import { endpointEventData } from "./internal.ts";
import type { DeliveryPlan } from "./planAttempt.ts";
import { planDelivery, planEndpoint } from "./planAttempt.ts";

/** The log of a delivery keeps its last attempts. */
const ATTEMPTS_KEPT = 20;
const { webhookDeliveries: deliveries, webhookEndpoints: endpoints } = schema;

/**
 * Writes down what an attempt came to, for the delivery and for its endpoint, and lets go of it. An attempt that no longer
 * has the delivery (it was asked for again, or took too long and another worker has it) changes nothing.
 */
export async function noteAttempt(
  ctx: ServiceContext,
  endpoint: EndpointRow,
  delivery: ClaimedDelivery,
  attempt: WebhookAttempt,
  retryAfterMs: number | undefined,
): Promise<{ readonly isSuccess: boolean; readonly isEnabled: boolean }> {
  const now = ctx.clock.now();
  const { status } = attempt;
  const plan = planDelivery({ attempts: delivery.attempts, status, retryAfterMs }, now);
  return withTransaction(
    ctx,
    async (ctx) => {
      const [row] = await ctx.db
        .select({ attemptLog: deliveries.attemptLog })
        .from(deliveries)
        .where(isStillOurs(delivery));
      if (row !== undefined) {
        const attemptLog = [...row.attemptLog, attempt].slice(-ATTEMPTS_KEPT);
        await ctx.db
          .update(deliveries)
          .set({ ...changeOf(plan, now), attemptLog, claimedUntil: null })
          .where(isStillOurs(delivery));
      }
      const isEnabled = await noteHealth(ctx, endpoint, status, now);
      return { isSuccess: plan.kind === "succeeded", isEnabled };
    },
    { isIdempotent: true },
  );
}

const isStillOurs = ({ id, attempts }: ClaimedDelivery) =>
  and(eq(deliveries.id, id), eq(deliveries.status, "pending"), eq(deliveries.attempts, attempts));

function changeOf(plan: DeliveryPlan, now: Date): Partial<DeliveryRow> {
  if (plan.kind === "retry") return { nextAttemptAt: plan.at };
  return { status: plan.kind, completedAt: now };
}

/** @returns whether the endpoint is still to be delivered to */
async function noteHealth(
  ctx: ServiceContext,
  endpoint: EndpointRow,
  status: number | null,
  now: Date,
): Promise<boolean> {
  const plan = planEndpoint(endpoint.failingSince, status, now);
  switch (plan.kind) {
    case "unchanged":
      return true;
    case "recovered":
    case "failing":
      await ctx.db
        .update(endpoints)
        .set({ failingSince: plan.kind === "failing" ? now : null })
        .where(eq(endpoints.id, endpoint.id));
      return true;
    case "disable":
      await disable(ctx, endpoint, plan.reason, now);
      return false;
  }
}

/** Switches an endpoint off and tells whoever is responsible for it, once. */
async function disable(
  ctx: ServiceContext,
  endpoint: EndpointRow,
  reason: "gone" | "failing",
  now: Date,
): Promise<void> {
  const [row] = await ctx.db
    .update(endpoints)
    .set({ status: "disabled", disabledReason: reason, disabledAt: now, updatedAt: now })
    .where(and(eq(endpoints.id, endpoint.id), eq(endpoints.status, "enabled")))
    .returning();
  if (row === undefined) return;
  const { host } = new URL(row.url);
  await writeAudit(ctx, {
    action: "webhooks.disable",
    subject: row.id,
    before: { status: "enabled" },
    after: { status: "disabled", reason },
  });
  await appendEvent(ctx, webhooksEndpointDisabled, { ...endpointEventData(row), reason, host });
  for (const { customerId, email } of await listResponsible(ctx, row)) {
    await queueEmail(ctx, {
      template: "webhookDisabled",
      to: email,
      data: { host, reason, dashboardUrl: ctx.settings.publicWebUrl },
      idempotencyKey: `webhook-disabled:${row.id}:${now.getTime()}:${customerId}`,
    });
  }
}
