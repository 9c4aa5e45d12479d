import { webhooksEndpointDisabled } from "@tollgate/contracts";
import type { WebhookAttempt } from "@tollgate/db";
import { appendEvent, schema, withSqlTransaction, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { listResponsible } from "../notifications/audience.ts";
import type { ClaimedDelivery } from "./deliverWebhooks.ts";
import type { EndpointRow } from "./internal.ts";
import { endpointEventData } from "./internal.ts";
import type { DeliveryPlan } from "./planAttempt.ts";
import { planDelivery, planEndpoint } from "./planAttempt.ts";

/** The log of a delivery keeps its last attempts. */
const ATTEMPTS_KEPT = 20;
const { webhookEndpoints: endpoints } = schema;

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
  await noteDelivery(ctx, delivery, plan, attempt, now);
  return { isSuccess: plan.kind === "succeeded", isEnabled: await noteHealth(ctx, endpoint, status, now) };
}

/**
 * One statement on one row that it locks, under READ COMMITTED: deliveries that end at the same moment share pages of the
 * index, which SERIALIZABLE would take for conflicts (docs/decisions/0017-leases-and-the-fold-lock-their-rows.md).
 */
async function noteDelivery(
  ctx: ServiceContext,
  delivery: ClaimedDelivery,
  plan: DeliveryPlan,
  attempt: WebhookAttempt,
  now: Date,
): Promise<void> {
  const status = plan.kind === "retry" ? "pending" : plan.kind;
  const nextAttemptAt = plan.kind === "retry" ? plan.at : now;
  const completedAt = plan.kind === "retry" ? null : now;
  const entry = JSON.stringify([attempt]);
  await withSqlTransaction(
    ctx.database,
    (sql) => sql`
      update webhook_deliveries set
        status = ${status}, next_attempt_at = ${nextAttemptAt}, completed_at = ${completedAt}, claimed_until = null,
        attempt_log =
          case when jsonb_array_length(attempt_log) >= ${ATTEMPTS_KEPT} then attempt_log - 0 else attempt_log end
          || ${entry}::text::jsonb
      where id = ${delivery.id} and status = 'pending' and attempts = ${delivery.attempts}`,
    { isIdempotent: true, isLockingItsRows: true },
  );
}

/** @returns whether the endpoint is still to be delivered to */
async function noteHealth(
  ctx: ServiceContext,
  endpoint: EndpointRow,
  status: number | null,
  now: Date,
): Promise<boolean> {
  const plan = planEndpoint(endpoint.failingSince, status, now);
  if (plan.kind === "unchanged") return true;
  await withTransaction(
    ctx,
    async (ctx) => {
      if (plan.kind === "disable") return disable(ctx, endpoint, plan.reason, now);
      const failingSince = plan.kind === "failing" ? now : null;
      await ctx.db.update(endpoints).set({ failingSince }).where(eq(endpoints.id, endpoint.id));
    },
    { isIdempotent: true },
  );
  return plan.kind !== "disable";
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
