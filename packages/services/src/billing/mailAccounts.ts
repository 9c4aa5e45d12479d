import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { localDate } from "@tollgate/kernel";
import { and, eq, inArray, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { formatCents, toCurrency } from "../payments/currency.ts";
import type { InvoiceRow } from "./invoices/internal.ts";

const { billingAccountAdmins, billingAccounts, customers } = schema;

interface Reader {
  readonly billingAccountId: string;
  readonly accountName: string;
  readonly email: string;
}

/** Who reads an account's bills: its address for invoices, or everyone who administers it. */
async function findReaders(ctx: ServiceContext, billingAccountIds: readonly string[]): Promise<Reader[]> {
  const rows = await ctx.db
    .select({
      billingAccountId: billingAccounts.id,
      accountName: billingAccounts.name,
      invoiceEmail: billingAccounts.invoiceEmail,
      email: customers.email,
    })
    .from(billingAccounts)
    .leftJoin(billingAccountAdmins, eq(billingAccountAdmins.billingAccountId, billingAccounts.id))
    .leftJoin(customers, and(eq(customers.id, billingAccountAdmins.customerId), isNull(customers.deletedAt)))
    .where(inArray(billingAccounts.id, [...billingAccountIds]));
  const readers = rows.flatMap(({ invoiceEmail, email, ...account }) => {
    const to = invoiceEmail ?? email;
    return to === null ? [] : [{ ...account, email: to }];
  });
  const keyOf = (reader: Reader): string => JSON.stringify([reader.billingAccountId, reader.email]);
  return [...new Map(readers.map((reader) => [keyOf(reader), reader])).values()];
}

/** Mails that what is due could not be collected, in the transaction that notes it. */
export async function mailPaymentFailed(
  ctx: ServiceContext,
  invoice: Pick<InvoiceRow, "id" | "billingAccountId" | "currency" | "dueMicros" | "timeZone">,
  failure: { readonly attempts: number; readonly message: string; readonly nextAttemptAt: Date | null },
): Promise<void> {
  const { nextAttemptAt } = failure;
  for (const reader of await findReaders(ctx, [invoice.billingAccountId])) {
    await queueEmail(ctx, {
      template: "paymentFailed",
      to: reader.email,
      data: {
        accountName: reader.accountName,
        amount: formatAmount(invoice.currency, invoice.dueMicros),
        why: failure.message,
        ...(nextAttemptAt === null ? {} : { retriedOn: localDate(nextAttemptAt.getTime(), invoice.timeZone) }),
        dashboardUrl: ctx.settings.publicWebUrl,
      },
      idempotencyKey: `payment-failed:${invoice.id}:${failure.attempts}:${reader.email}`,
    });
  }
}

/** Micros as people read them, rounded up to the currency's smallest unit. */
function formatAmount(code: string, amount: Micros): string {
  const currency = toCurrency(code);
  return formatCents(currency, Number((amount + currency.microsPerCent - 1n) / currency.microsPerCent));
}
