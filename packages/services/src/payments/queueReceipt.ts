import { schema } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import { queueEmail } from "../emails/queueEmail.ts";
import { formatCents, toCurrency } from "./currency.ts";
import type { PaymentRow } from "./internal.ts";
import type { PaymentsContext } from "./stripeAccount.ts";

const { billingAccountAdmins, billingAccounts, customers } = schema;

/** Mails a receipt to everyone who administers the account, in the transaction that credits the payment. */
export async function queueReceipt(ctx: PaymentsContext, payment: PaymentRow): Promise<void> {
  const admins = await ctx.db
    .select({ customerId: customers.id, email: customers.email, accountName: billingAccounts.name })
    .from(billingAccountAdmins)
    .innerJoin(customers, eq(customers.id, billingAccountAdmins.customerId))
    .innerJoin(billingAccounts, eq(billingAccounts.id, billingAccountAdmins.billingAccountId))
    .where(and(eq(billingAccountAdmins.billingAccountId, payment.billingAccountId), isNull(customers.deletedAt)));
  for (const { customerId, email, accountName } of admins) {
    await queueEmail(ctx, {
      template: "receipt",
      to: email,
      data: {
        amount: formatCents(toCurrency(payment.currency), payment.amountCents),
        accountName,
        paymentId: payment.id,
        receiptUrl: payment.receiptUrl,
        dashboardUrl: ctx.settings.publicWebUrl,
      },
      idempotencyKey: `receipt:${payment.id}:${customerId}`,
    });
  }
}
