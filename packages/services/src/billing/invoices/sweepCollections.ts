import { collectInvoiceJob, syncSubscriptionJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { and, asc, eq, gte, isNull, lte, or } from "drizzle-orm";
import type { PaymentsContext } from "../../payments/stripeAccount.ts";
import { requireAdminOrService } from "../../permissions.ts";

const { budgets, invoices, subscriptions } = schema;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A request that is still about a new subscription is left alone. */
const INCOMPLETE_AGE_MS = 10 * MINUTE_MS;
/** Stripe makes a renewal's invoice final an hour after the period has begun. */
const RENEWAL_AGE_MS = 2 * HOUR_MS;
const ROWS_MAX = 500;

/**
 * Orders the collection of every invoice whose time has come, and a look at every subscription that should have changed
 * by now and of which nobody was told: no webhook is needed for a tier to begin, to be renewed or to end.
 * @returns how many of each
 */
export async function sweepCollections({
  ctx,
}: {
  readonly ctx: PaymentsContext;
}): Promise<{ readonly invoices: number; readonly subscriptions: number }> {
  requireAdminOrService(ctx);
  if (ctx.stripe === undefined) return { invoices: 0, subscriptions: 0 };
  const nowMs = ctx.clock.nowMs();
  const ago = (ms: number): Date => new Date(nowMs - ms);
  return withTransaction(
    ctx,
    async (ctx) => {
      const due = await ctx.db
        .select({ id: invoices.id })
        .from(invoices)
        .leftJoin(budgets, and(eq(budgets.billingAccountId, invoices.billingAccountId), eq(budgets.kind, "wallet")))
        .where(
          and(
            eq(invoices.status, "final"),
            or(
              lte(invoices.nextAttemptAt, new Date(nowMs)),
              // A wallet that was made good owes nothing of its usage any more.
              and(eq(invoices.kind, "usage"), gte(budgets.limitAmount, 0n)),
            ),
          ),
        )
        .orderBy(asc(invoices.nextAttemptAt))
        .limit(ROWS_MAX);
      for (const { id } of due) await appendJob(ctx, collectInvoiceJob, { invoiceId: id });
      const late = await ctx.db
        .select({ id: subscriptions.id })
        .from(subscriptions)
        .where(
          and(
            isNull(subscriptions.endedAt),
            // Each look is noted, so one that stays as it is waits for its next turn.
            or(
              and(
                or(eq(subscriptions.status, "incomplete"), eq(subscriptions.isWaiting, true)),
                lte(subscriptions.updatedAt, ago(INCOMPLETE_AGE_MS)),
              ),
              and(lte(subscriptions.periodEnd, ago(RENEWAL_AGE_MS)), lte(subscriptions.updatedAt, ago(HOUR_MS))),
            ),
          ),
        )
        .orderBy(asc(subscriptions.updatedAt))
        .limit(ROWS_MAX);
      for (const { id } of late) await appendJob(ctx, syncSubscriptionJob, { subscriptionId: id });
      return { invoices: due.length, subscriptions: late.length };
    },
    { isIdempotent: true },
  );
}
