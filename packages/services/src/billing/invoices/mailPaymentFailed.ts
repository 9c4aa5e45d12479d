import { localDate } from "@tollgate/kernel";
import type { ServiceContext } from "../../context.ts";
import { findAccountAudience, invoiceRecipients } from "../../emails/news/accountAudience.ts";
import { queueEmail } from "../../emails/queueEmail.ts";
import { formatMoney } from "../formatMoney.ts";
import type { InvoiceRow } from "./internal.ts";

/** Mails that what is due could not be collected, in the transaction that notes it. */
export async function mailPaymentFailed(
  ctx: ServiceContext,
  invoice: Pick<InvoiceRow, "id" | "billingAccountId" | "currency" | "dueMicros" | "timeZone">,
  failure: { readonly attempts: number; readonly message: string; readonly nextAttemptAt: Date | null },
): Promise<void> {
  const { nextAttemptAt } = failure;
  const audience = await findAccountAudience(ctx, invoice.billingAccountId);
  for (const { to, key } of invoiceRecipients(audience)) {
    await queueEmail(ctx, {
      template: "paymentFailed",
      to,
      data: {
        accountName: audience.name,
        amount: formatMoney(invoice.dueMicros, invoice.currency),
        why: failure.message,
        ...(nextAttemptAt === null ? {} : { retriedOn: localDate(nextAttemptAt.getTime(), invoice.timeZone) }),
        dashboardUrl: ctx.settings.publicWebUrl,
      },
      idempotencyKey: `payment-failed:${invoice.id}:${failure.attempts}:${key}`,
    });
  }
}
