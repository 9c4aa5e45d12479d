import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { z } from "zod";
import type { BillingPort } from "../billingPort.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { requireStripe } from "../stripeAccount.ts";
import { followForeignPayment } from "../sync/followForeignPayment.ts";
import { syncDispute } from "../sync/syncDispute.ts";
import { syncRefunds } from "../sync/syncRefunds.ts";
import type { Difference } from "./comparePayment.ts";

const { invoiceReturns, paymentDisputes, paymentRefunds } = schema;
const DAY_MS = 86_400_000;
/** A bank may send a refund back for a month, and decide on a dispute for a quarter of a year. */
const REFUND_DAYS = 35;
const DISPUTE_DAYS = 120;

const moneyBackSchema = z.object({
  id: z.string(),
  amount: z.int(),
  status: z.string(),
  payment_intent: z.string().nullable(),
});

/** A difference, and whether following it has put it right. */
export interface FollowedDifference {
  readonly difference: Difference;
  readonly isHealed: boolean;
}

/**
 * Compares what has gone back lately (refunds and disputes, of payments and of subscriptions' invoices, however old
 * those are) with what is known here, and follows what nobody told us of as its webhook would have done. What belongs to
 * nothing of this deployment's is no difference: an account at Stripe may serve others as well.
 */
export async function* reconcileMoneyBack(
  ctx: PaymentsContext,
  billing: BillingPort,
  until: Date,
): AsyncGenerator<FollowedDifference> {
  const { client } = requireStripe(ctx);
  const since = (days: number) => ({
    gte: Math.floor((until.getTime() - days * DAY_MS) / 1_000),
    lte: Math.floor(until.getTime() / 1_000),
  });
  for await (const refund of client.refunds.list({ created: since(REFUND_DAYS), limit: 100 })) {
    const difference = await follow(ctx, refund, (intentId) => syncRefunds(ctx, intentId), billing);
    if (difference !== undefined) yield difference;
  }
  for await (const dispute of client.disputes.list({ created: since(DISPUTE_DAYS), limit: 100 })) {
    const difference = await follow(ctx, dispute, () => syncDispute(ctx, dispute.id), billing);
    if (difference !== undefined) yield difference;
  }
}

/** One that cannot be followed, or lacks what it must have, is a difference itself and holds up none of the others. */
async function follow(
  ctx: PaymentsContext,
  answer: { readonly id: string },
  sync: (intentId: string) => Promise<unknown>,
  billing: BillingPort,
): Promise<FollowedDifference | undefined> {
  const about = { paymentId: null, stripeId: answer.id };
  const { data: there } = moneyBackSchema.safeParse(answer);
  if (there === undefined)
    return { difference: { ...about, kind: "unreadable", here: null, there: null }, isHealed: false };
  const before = await readStatus(ctx, there.id);
  if (there.payment_intent === null || before === there.status) return undefined;
  const difference = { ...about, kind: "refunds", here: before ?? null, there: there.status } as const;
  try {
    const isOurs =
      (await sync(there.payment_intent)) !== undefined ||
      (await followForeignPayment(ctx, there.payment_intent, billing));
    return isOurs ? { difference, isHealed: (await readStatus(ctx, there.id)) === there.status } : undefined;
  } catch (error) {
    ctx.logger.warn({ err: error, stripeId: there.id }, "what has gone back could not be followed");
    return { difference, isHealed: false };
  }
}

/** The status under which a refund or a dispute is known here. */
async function readStatus(ctx: PaymentsContext, stripeId: string): Promise<string | undefined> {
  for (const table of [paymentRefunds, paymentDisputes, invoiceReturns]) {
    const [row] = await ctx.db.select({ status: table.status }).from(table).where(eq(table.id, stripeId));
    if (row !== undefined) return row.status;
  }
  return undefined;
}
