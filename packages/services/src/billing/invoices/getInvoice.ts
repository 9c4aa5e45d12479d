import type { getInvoiceInput, InvoiceAnswer } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound, TollgateError, unauthorized } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../../context.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import type { InvoiceRow } from "./internal.ts";
import { toInvoice } from "./internal.ts";
import { renderInvoiceHtml } from "./renderHtml.ts";
import { renderInvoicePdf } from "./renderPdf.ts";

/** An invoice with its lines, as data and where asked for as a document. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function getInvoice({ ctx, input }: Verb<z.output<typeof getInvoiceInput>>): Promise<InvoiceAnswer> {
  const invoice = await toInvoice(ctx, await requireInvoice(ctx, input.invoiceId));
  const name = invoice.number ?? invoice.id;
  if (input.format === "json") return { invoice, document: null };
  if (input.format === "html") {
    const content = renderInvoiceHtml(invoice);
    return { invoice, document: { contentType: "text/html; charset=utf-8", fileName: `${name}.html`, content } };
  }
  const content = (await renderInvoicePdf(invoice)).toString("base64");
  return { invoice, document: { contentType: "application/pdf", fileName: `${name}.pdf`, content } };
}

async function requireInvoice(ctx: ServiceContext, invoiceId: string): Promise<InvoiceRow> {
  if (ctx.actor.kind === "anonymous") throw unauthorized();
  const { invoices } = schema;
  const [row] = await ctx.db.select().from(invoices).where(eq(invoices.id, invoiceId));
  if (row === undefined) throw notFound("invoice");
  try {
    await requireAccountAdmin(ctx, row.billingAccountId, { orAdmin: true });
  } catch (error) {
    // Not even whose account it is.
    if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("invoice");
    throw error;
  }
  return row;
}
