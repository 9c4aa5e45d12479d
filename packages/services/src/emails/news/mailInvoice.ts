import type { DomainEvent } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { subtractMicros, ZERO_MICROS } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import { formatMoney } from "../../billing/formatMoney.ts";
import { describePeriod } from "../../billing/invoices/invoiceText.ts";
import type { ServiceContext } from "../../context.ts";
import { queueEmail } from "../queueEmail.ts";
import { findAccountAudience, invoiceRecipients } from "./accountAudience.ts";

/**
 * Mails an invoice or a credit note, with its document, to the address that the account names for invoices, or else to its
 * admins. One that was voided since, or asks for nothing and credits nothing, is not mailed.
 */
export async function mailInvoice(ctx: ServiceContext, event: DomainEvent<"billing.invoiceFinalized">): Promise<void> {
  const { invoiceId, billingAccountId } = event.data;
  const { invoices } = schema;
  const [invoice] = await ctx.db.select().from(invoices).where(eq(invoices.id, invoiceId));
  if (invoice === undefined) throw new Error(`The invoice ${invoiceId} is not there`);
  if (invoice.number === null || invoice.status === "void" || invoice.totalMicros === 0n) return;
  const audience = await findAccountAudience(ctx, billingAccountId);
  const common = {
    accountName: audience.name,
    total: formatMoney(
      // What a note takes off the invoice is what it credits.
      invoice.kind === "credit_note" ? subtractMicros(ZERO_MICROS, invoice.totalMicros) : invoice.totalMicros,
      invoice.currency,
    ),
    invoiceUrl: `${ctx.settings.publicWebUrl}/invoices/${invoiceId}`,
  };
  for (const { to, key } of invoiceRecipients(audience)) {
    const about = { to, attachedInvoiceId: invoiceId, idempotencyKey: `${event.id}:${key}` };
    if (invoice.kind === "credit_note") {
      const data = { ...common, creditNoteNumber: invoice.number, reason: invoice.reason ?? "Correction" };
      await queueEmail(ctx, { ...about, template: "creditNote", data });
    } else {
      const data = {
        ...common,
        invoiceNumber: invoice.number,
        period: describePeriod(invoice),
        isPaid: invoice.dueMicros === 0n || invoice.status === "paid",
        due: formatMoney(invoice.dueMicros, invoice.currency),
        isAttached: true,
      };
      await queueEmail(ctx, { ...about, template: "invoice", data });
    }
  }
}
