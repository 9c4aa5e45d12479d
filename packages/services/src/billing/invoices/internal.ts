import type { Invoice, InvoiceSummary } from "@tollgate/contracts";
import { billingInvoiceFinalized, billingInvoicePaid, billingInvoiceVoided } from "@tollgate/contracts";
import type { Announcement, InvoiceParty } from "@tollgate/db";
import { appendEvents, schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { asc, eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";

export type InvoiceRow = typeof schema.invoices.$inferSelect;

/** Who invoices are from. */
export const sellerOf = (ctx: ServiceContext): InvoiceParty =>
  ctx.settings.seller ?? { name: new URL(ctx.settings.publicWebUrl).host, address: null, taxId: null, email: null };

const ANNOUNCEMENTS = {
  finalized: billingInvoiceFinalized,
  paid: billingInvoicePaid,
  voided: billingInvoiceVoided,
} as const;

type AnnouncedInvoice = Pick<InvoiceRow, "id" | "billingAccountId" | "kind" | "number" | "totalMicros" | "dueMicros">;

export async function announceInvoice(
  ctx: ServiceContext,
  what: keyof typeof ANNOUNCEMENTS,
  row: AnnouncedInvoice,
): Promise<void> {
  await appendEvents(ctx, [announcementOf(what, row)]);
}

/** What is announced of an invoice: for many, several of these go by one statement. */
export const announcementOf = (what: keyof typeof ANNOUNCEMENTS, row: AnnouncedInvoice): Announcement => ({
  definition: ANNOUNCEMENTS[what],
  data: {
    billingAccountId: row.billingAccountId,
    invoiceId: row.id,
    kind: row.kind,
    number: row.number,
    total: row.totalMicros.toString(),
    due: row.dueMicros.toString(),
  },
});

export const toSummary = (row: InvoiceRow): InvoiceSummary => ({
  id: row.id,
  billingAccountId: row.billingAccountId,
  kind: row.kind,
  status: row.status,
  number: row.number,
  periodStart: row.periodStart,
  periodEnd: row.periodEnd,
  timeZone: row.timeZone,
  currency: row.currency,
  totalMicros: row.totalMicros,
  dueMicros: row.dueMicros,
  correctsId: row.correctsId,
  reason: row.reason,
  finalizedAt: row.finalizedAt,
  paidAt: row.paidAt,
  voidedAt: row.voidedAt,
  createdAt: row.createdAt,
});

export async function toInvoice(ctx: ServiceContext, row: InvoiceRow): Promise<Invoice> {
  const { invoiceLines } = schema;
  const lines = await ctx.db
    .select()
    .from(invoiceLines)
    .where(eq(invoiceLines.invoiceId, row.id))
    .orderBy(asc(invoiceLines.line));
  return {
    ...toSummary(row),
    seller: row.seller,
    customer: row.customer,
    lines: lines.map(({ invoiceId: _invoiceId, quantity, ...line }) => ({ ...line, quantity: quantity.toString() })),
  };
}

/** The invoice, locked until the transaction ends. @throws TollgateError NOT_FOUND */
export async function lockInvoice(ctx: ServiceContext, invoiceId: string): Promise<InvoiceRow> {
  const { invoices } = schema;
  const [row] = await ctx.db.select().from(invoices).where(eq(invoices.id, invoiceId)).for("update");
  if (row === undefined) throw notFound("invoice");
  return row;
}
