import type { DomainEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import { formatMoney } from "../../billing/formatMoney.ts";
import { formatDay } from "../../billing/invoices/invoiceText.ts";
import type { ServiceContext } from "../../context.ts";
import { queueEmail } from "../queueEmail.ts";
import { findAccountAudience } from "./accountAudience.ts";

const { autoTopUps, payments } = schema;

/** Mails the admins that a top-up which nobody watched was declined, and when the card is tried again. */
export async function mailFailedTopUp(ctx: ServiceContext, event: DomainEvent<"balance.topUpFailed">): Promise<void> {
  const { billingAccountId, paymentId, isOff } = event.data;
  const [payment] = await ctx.db.select().from(payments).where(eq(payments.id, paymentId));
  if (payment === undefined) throw new Error(`The payment ${paymentId} is not there`);
  const [next] = await ctx.db.select().from(autoTopUps).where(eq(autoTopUps.billingAccountId, billingAccountId));
  const { name, timeZone, admins } = await findAccountAudience(ctx, billingAccountId);
  const isRetried = !isOff && next?.isOn === true;
  for (const { customerId, email } of admins) {
    await queueEmail(ctx, {
      template: "paymentFailed",
      to: email,
      data: {
        accountName: name,
        amount: formatMoney(payment.amountMicros, payment.currency),
        why: payment.failureMessage ?? "The card was declined.",
        ...(isRetried ? { retriedOn: formatDay(next.nextAttemptAt, timeZone) } : {}),
        dashboardUrl: ctx.settings.publicWebUrl,
      },
      idempotencyKey: `${event.id}:${customerId}`,
    });
  }
}
