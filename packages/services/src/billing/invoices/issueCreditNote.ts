import type { Invoice, issueCreditNoteInput } from "@tollgate/contracts";
import { schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, minMicros, negateMicros, newId, subtractMicros, sumMicros, TollgateError } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import { creditWallet } from "../../balance/creditWallet.ts";
import type { ServiceContext, Verb } from "../../context.ts";
import { requireAdmin } from "../../permissions.ts";
import type { InvoiceRow } from "./internal.ts";
import { announceInvoice, lockInvoice, sellerOf, toInvoice } from "./internal.ts";
import { takeNumbers } from "./takeNumbers.ts";

type Input = z.output<typeof issueCreditNoteInput>;
const { invoiceLines, invoices } = schema;

/**
 * An operator takes something off an invoice: a document with a number of its own, and credit in the wallet. What is still
 * due of the invoice becomes less by as much. All notes together take no more than the invoice is about.
 * @throws TollgateError NOT_FOUND; UNPROCESSABLE `credit_note_too_large`, `not_an_invoice`; CONFLICT
 * `idempotency_key_reused`, `invoice_not_final`; UNAUTHORIZED, FORBIDDEN
 */
export async function issueCreditNote({ ctx, input }: Verb<Input>): Promise<Invoice> {
  requireAdmin(ctx);
  return withTransaction(ctx, (ctx) => issueInTransaction(ctx, input), { isIdempotent: true });
}

async function issueInTransaction(ctx: ServiceContext, input: Input): Promise<Invoice> {
  const invoice = await lockInvoice(ctx, input.invoiceId);
  const again = await findIssued(ctx, invoice, input);
  if (again !== undefined) return toInvoice(ctx, again);
  await assertCreditable(ctx, invoice, input);
  const now = ctx.clock.now();
  const [number] = await takeNumbers(ctx, "CN", 1);
  const amount = negateMicros(input.micros);
  const [note] = await ctx.db
    .insert(invoices)
    .values({
      id: newId("invoice"),
      billingAccountId: invoice.billingAccountId,
      kind: "credit_note",
      status: "paid",
      number: number ?? null,
      periodStart: invoice.periodStart,
      periodEnd: invoice.periodEnd,
      timeZone: invoice.timeZone,
      currency: invoice.currency,
      totalMicros: amount,
      dueMicros: subtractMicros(input.micros, input.micros),
      seller: sellerOf(ctx),
      customer: invoice.customer,
      correctsId: invoice.id,
      reason: input.reason,
      idempotencyKey: input.idempotencyKey,
      finalizedAt: now,
      paidAt: now,
      createdAt: now,
      updatedAt: now,
    })
    .returning();
  if (note === undefined) throw new Error("The credit note was not made");
  await ctx.db.insert(invoiceLines).values({
    invoiceId: note.id,
    line: 1,
    description: `${input.reason} (of ${invoice.number ?? invoice.id})`,
    quantity: 1n,
    unitPriceMicros: amount,
    amountMicros: amount,
  });
  await creditWallet(ctx, {
    billingAccountId: invoice.billingAccountId,
    micros: input.micros,
    source: "adjustment",
    idempotencyKey: `credit-note:${note.id}`,
    reference: `Credit note ${number}`,
    visible: true,
  });
  await reduceDue(ctx, invoice, input);
  await writeAudit(ctx, {
    action: "billing.issueCreditNote",
    subject: invoice.id,
    after: { creditNoteId: note.id, number, micros: input.micros, reason: input.reason },
  });
  await announceInvoice(ctx, "finalized", note);
  return toInvoice(ctx, note);
}

async function findIssued(ctx: ServiceContext, invoice: InvoiceRow, input: Input): Promise<InvoiceRow | undefined> {
  const [found] = await ctx.db
    .select()
    .from(invoices)
    .where(
      and(eq(invoices.billingAccountId, invoice.billingAccountId), eq(invoices.idempotencyKey, input.idempotencyKey)),
    );
  if (found === undefined) return undefined;
  const isSame =
    found.correctsId === invoice.id && found.totalMicros === -input.micros && found.reason === input.reason;
  if (isSame) return found;
  throw conflict("This idempotency key was used for another credit note", {
    reason: "idempotency_key_reused",
    issues: [{ path: "idempotencyKey", message: "Was used for another request" }],
  });
}

async function assertCreditable(ctx: ServiceContext, invoice: InvoiceRow, input: Input): Promise<void> {
  if (invoice.kind === "credit_note") {
    throw new TollgateError("UNPROCESSABLE", "A credit note has no credit note", { reason: "not_an_invoice" });
  }
  // What Stripe still asks for of a subscription's invoice does not become less by our document.
  const isOpenAtStripe = invoice.kind === "subscription" && invoice.status !== "paid";
  if (isOpenAtStripe || (invoice.status !== "final" && invoice.status !== "paid")) {
    throw conflict(`This invoice is ${invoice.status}`, { reason: "invoice_not_final" });
  }
  const notes = await ctx.db.select().from(invoices).where(eq(invoices.correctsId, invoice.id));
  const left = sumMicros([invoice.totalMicros, ...notes.map((note) => note.totalMicros)]);
  if (input.micros > left) {
    throw new TollgateError("UNPROCESSABLE", "The invoice is not about that much", {
      reason: "credit_note_too_large",
      issues: [{ path: "micros", message: `At most ${left} micros are left of the invoice` }],
    });
  }
}

async function reduceDue(ctx: ServiceContext, invoice: InvoiceRow, input: Input): Promise<void> {
  if (invoice.status !== "final") return;
  const dueMicros = subtractMicros(invoice.dueMicros, minMicros(invoice.dueMicros, input.micros));
  const now = ctx.clock.now();
  const change = {
    dueMicros,
    updatedAt: now,
    ...(dueMicros === 0n ? { status: "paid" as const, paidAt: now } : {}),
  };
  await ctx.db.update(invoices).set(change).where(eq(invoices.id, invoice.id));
  if (dueMicros === 0n) await announceInvoice(ctx, "paid", { ...invoice, dueMicros });
}
