import { balanceTopUpFailed } from "@tollgate/contracts";
import { appendEvent, schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { PaymentRow } from "../internal.ts";
import type { PaymentsContext } from "../stripeAccount.ts";
import { planAfterTopUp } from "./planTopUp.ts";

const { autoTopUps } = schema;

/** What an automatic payment's outcome means for the next one; in the transaction in which the payment has it. */
export async function followTopUp(ctx: PaymentsContext, payment: PaymentRow): Promise<void> {
  const { billingAccountId } = payment;
  const [row] = await ctx.db
    .select()
    .from(autoTopUps)
    .where(eq(autoTopUps.billingAccountId, billingAccountId))
    .for("update");
  if (row === undefined) return;
  const now = ctx.clock.now();
  const plan = planAfterTopUp({ failures: row.failures, isOn: row.isOn }, payment.status, now);
  await ctx.db
    .update(autoTopUps)
    .set({
      failures: plan.failures,
      isOn: plan.isOn,
      ...(plan.isTurnedOff ? { offReason: "declined" } : {}),
      nextAttemptAt: plan.nextAttemptAt,
      updatedAt: now,
    })
    .where(eq(autoTopUps.billingAccountId, billingAccountId));
  if (payment.status === "succeeded") return;
  await appendEvent(ctx, balanceTopUpFailed, {
    billingAccountId,
    paymentId: payment.id,
    failureCode: payment.failureCode ?? payment.status,
    failures: plan.failures,
    isOff: !plan.isOn,
  });
}
