import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { askStripe } from "../askStripe.ts";
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
type MoneyBackThere = z.infer<typeof moneyBackSchema>;

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
    yield* follow(ctx, moneyBackSchema.parse(refund), (intentId) => syncRefunds(ctx, intentId), billing);
  }
  for await (const dispute of client.disputes.list({ created: since(DISPUTE_DAYS), limit: 100 })) {
    yield* follow(ctx, moneyBackSchema.parse(dispute), () => syncDispute(ctx, dispute.id), billing);
  }
}

async function* follow(
  ctx: PaymentsContext,
  there: MoneyBackThere,
  sync: (intentId: string) => Promise<unknown>,
  billing: BillingPort,
): AsyncGenerator<FollowedDifference> {
  const before = await readStatus(ctx, there.id);
  if (there.payment_intent === null || before === there.status) return;
  const intentId = there.payment_intent;
  const isOurs =
    (await askStripe(() => sync(intentId))) !== undefined || (await followForeignPayment(ctx, intentId, billing));
  if (!isOurs) return;
  const about = { paymentId: null, stripeId: there.id, here: before ?? null, there: there.status };
  yield {
    difference: { ...about, kind: "refunds" },
    isHealed: (await readStatus(ctx, there.id)) === there.status,
  };
}

/** The status under which a refund or a dispute is known here. */
async function readStatus(ctx: PaymentsContext, stripeId: string): Promise<string | undefined> {
  for (const table of [paymentRefunds, paymentDisputes, invoiceReturns]) {
    const [row] = await ctx.db.select({ status: table.status }).from(table).where(eq(table.id, stripeId));
    if (row !== undefined) return row.status;
  }
  return undefined;
}
