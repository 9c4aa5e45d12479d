import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { MailAttachment } from "../../emails/mailTransport.ts";
import { requireService } from "../../permissions.ts";
import { toInvoice } from "./internal.ts";
import { renderInvoicePdf } from "./renderPdf.ts";

/**
 * An invoice or a credit note as the PDF that goes along with a mail.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker; NOT_FOUND
 */
export async function renderInvoiceAttachment(ctx: ServiceContext, invoiceId: string): Promise<MailAttachment> {
  requireService(ctx);
  const { invoices } = schema;
  const [row] = await ctx.db.select().from(invoices).where(eq(invoices.id, invoiceId));
  if (row === undefined) throw notFound("invoice");
  const content = await renderInvoicePdf(await toInvoice(ctx, row));
  return { fileName: `${row.number ?? row.id}.pdf`, contentType: "application/pdf", content };
}
