import { schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { and, eq, gte, inArray, sql } from "drizzle-orm";
import { readBalance } from "../../balance/readBalance.ts";
import { requireAdminOrService } from "../../permissions.ts";
import { chargePayment } from "../chargePayment.ts";
import type { PaymentRow } from "../internal.ts";
import { claimInTransaction } from "../internal.ts";
import type { PaymentsContext, PaymentsVerb } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import type { TopUpRefusal } from "./planTopUp.ts";
import { refuseTopUp } from "./planTopUp.ts";

const { autoTopUps, payments } = schema;
const OPEN = ["pending", "requires_action"] as const;

/** What came of looking at one account. */
export type TopUpOutcome = { readonly payment: PaymentRow } | { readonly refusal: TopUpRefusal };

/**
 * Charges the card of an account whose credit has run low, if it may be charged now. A payment that a run before began
 * and did not finish is carried on, under its own key, so that a crash or a provider that does not answer never makes a
 * second one; that there is one at a time is a constraint.
 */
export async function topUpAccount({
  ctx,
  input,
}: PaymentsVerb<{ readonly billingAccountId: string }>): Promise<TopUpOutcome> {
  requireAdminOrService(ctx);
  const { billingAccountId } = input;
  const begun = await findOpen(ctx, billingAccountId);
  if (begun !== undefined) {
    return begun.stripePaymentIntentId === null ? { payment: await charge(ctx, begun) } : { refusal: "under_way" };
  }
  const claimed = await withTransaction(ctx, (ctx) => claimTopUp(ctx, billingAccountId), { isIdempotent: true });
  return "refusal" in claimed ? claimed : { payment: await charge(ctx, claimed.payment) };
}

/** A refused card is an outcome here, which the payment already says; anything else is for the next run. */
async function charge(ctx: PaymentsContext, payment: PaymentRow): Promise<PaymentRow> {
  const { row } = await chargePayment(ctx, payment, { isOffSession: true });
  return row;
}

async function claimTopUp(ctx: PaymentsContext, billingAccountId: string): Promise<TopUpOutcome> {
  const [row] = await ctx.db
    .select()
    .from(autoTopUps)
    .where(eq(autoTopUps.billingAccountId, billingAccountId))
    .for("update");
  if (row === undefined) return { refusal: "off" };
  const { available } = await readBalance({ ctx, input: { billingAccountId } });
  const now = ctx.clock.now();
  const refusal = refuseTopUp(
    {
      ...row,
      availableMicros: available,
      isUnderWay: (await findOpen(ctx, billingAccountId)) !== undefined,
      spentThisMonthCents: await spentSince(ctx, billingAccountId, monthStart(now)),
    },
    now,
  );
  if (refusal !== undefined) return { refusal };
  const { currency } = requireStripe(ctx);
  const { row: payment } = await claimInTransaction(ctx, {
    billingAccountId,
    kind: "auto_top_up",
    amountCents: row.amountCents,
    currency,
    cardId: row.cardId,
    idempotencyKey: newId("payment"),
    action: "payments.topUp",
  });
  return { payment };
}

const monthStart = (now: Date): Date => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));

async function findOpen(ctx: PaymentsContext, billingAccountId: string): Promise<PaymentRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(payments)
    .where(
      and(
        eq(payments.billingAccountId, billingAccountId),
        eq(payments.kind, "auto_top_up"),
        inArray(payments.status, [...OPEN]),
      ),
    );
  return row;
}

async function spentSince(ctx: PaymentsContext, billingAccountId: string, since: Date): Promise<number> {
  const [row] = await ctx.db
    .select({ cents: sql<string>`coalesce(sum(${payments.amountCents}), 0)` })
    .from(payments)
    .where(
      and(
        eq(payments.billingAccountId, billingAccountId),
        eq(payments.kind, "auto_top_up"),
        inArray(payments.status, [...OPEN, "succeeded"]),
        gte(payments.createdAt, since),
      ),
    );
  return Number(row?.cents ?? 0);
}
