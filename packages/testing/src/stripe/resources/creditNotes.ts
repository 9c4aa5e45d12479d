import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { innerList, pageOf } from "../http/pages.ts";
import { expand, int, mergeMetadata, metadata, paging, text } from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import { intentOf } from "../world/invoices.ts";
import { refundCharge } from "../world/refunds.ts";
import type { CreditNote } from "../world/stored.ts";
import type { World } from "../world/world.ts";

const createInput = z.strictObject({
  invoice: text,
  amount: int.optional(),
  credit_amount: int.optional(),
  refund_amount: int.optional(),
  out_of_band_amount: int.optional(),
  lines: z
    .array(
      z.strictObject({
        type: z.enum(["custom_line_item", "invoice_line_item"]),
        invoice_line_item: text.optional(),
        description: text.optional(),
        quantity: int.optional(),
        unit_amount: int.optional(),
        amount: int.optional(),
      }),
    )
    .optional(),
  memo: text.optional(),
  metadata: metadata.optional(),
  reason: z.enum(["duplicate", "fraudulent", "order_change", "product_unsatisfactory"]).optional(),
  expand,
});
type CreateInput = z.output<typeof createInput>;

export const creditNoteRoutes = [
  route("POST", "/v1/credit_notes", createInput, ({ world, input }) => createCreditNote(world, input)),
  route("GET", "/v1/credit_notes/:id", z.strictObject({ expand }), (call) => call.world.creditNotes.get(idOf(call))),
  route(
    "POST",
    "/v1/credit_notes/:id",
    z.strictObject({ memo: text.optional(), metadata: metadata.optional(), expand }),
    (call) => {
      const row = call.world.creditNotes.get(idOf(call));
      const { input } = call;
      return call.world.update(
        row,
        {
          metadata: mergeMetadata(row.metadata, input.metadata),
          ...(input.memo === undefined ? {} : { memo: input.memo }),
        },
        "credit_note.updated",
      );
    },
  ),
  route("POST", "/v1/credit_notes/:id/void", z.strictObject({ expand }), (call) => {
    const { world } = call;
    const row = world.creditNotes.get(idOf(call));
    if (row.status === "void" || row.type !== "pre_payment") {
      throw invalidRequest("Only a credit note of an open invoice can be voided.");
    }
    const invoice = world.invoices.get(row.invoice);
    invoice.pre_payment_credit_notes_amount -= row.total;
    invoice.amount_due += row.total;
    invoice.amount_remaining += row.total;
    Object.assign(row, { status: "void", voided_at: world.now(row.customer) });
    world.emit("credit_note.voided", row);
    return row;
  }),
  route(
    "GET",
    "/v1/credit_notes",
    z.strictObject({ ...paging, customer: text.optional(), invoice: text.optional() }),
    ({ world, input, path }) =>
      pageOf(
        world.creditNotes,
        input,
        path,
        (row) =>
          (input.customer === undefined || row.customer === input.customer) &&
          (input.invoice === undefined || row.invoice === input.invoice),
      ),
  ),
];

/**
 * Takes a part of an invoice back: from an open one, what is due; from a paid one, as a refund of its payment, as credit
 * for later invoices, or out of band.
 */
function createCreditNote(world: World, input: CreateInput): CreditNote {
  const invoice = world.invoices.get(input.invoice, "invoice");
  if (invoice.status !== "open" && invoice.status !== "paid") {
    throw invalidRequest(`You can only create credit notes for open or paid invoices; this one is ${invoice.status}.`);
  }
  const id = world.id("cn");
  const lines = linesOf(world, input);
  const total = input.lines === undefined ? (input.amount ?? 0) : lines.reduce((sum, line) => sum + line.amount, 0);
  const left = invoice.total - invoice.pre_payment_credit_notes_amount - invoice.post_payment_credit_notes_amount;
  if (total <= 0 || total > left) {
    throw invalidRequest(`The credit note amount (${total}) is more than what is left of the invoice (${left}).`, {
      param: "amount",
    });
  }
  const isOpen = invoice.status === "open";
  const now = world.now(invoice.customer);
  const customer = world.customer(invoice.customer ?? "");
  const refunds = isOpen ? [] : settlePaid(world, input, total, invoice.id);
  if (isOpen) {
    invoice.pre_payment_credit_notes_amount += total;
    invoice.amount_due -= total;
    invoice.amount_remaining -= total;
  } else {
    invoice.post_payment_credit_notes_amount += total;
  }
  const count = world.creditNotes.filter((row) => row.invoice === invoice.id).length + 1;
  const note = world.creditNotes.insert({
    id,
    object: "credit_note",
    amount: total,
    amount_shipping: 0,
    created: now,
    currency: invoice.currency,
    customer: customer.id,
    customer_account: null,
    customer_balance_transaction: null,
    discount_amount: 0,
    discount_amounts: [],
    effective_at: now,
    invoice: invoice.id,
    lines: innerList(lines, `/v1/credit_notes/${id}/lines`),
    livemode: false,
    memo: input.memo ?? null,
    metadata: mergeMetadata(null, input.metadata),
    number: `${invoice.number}-CN-${String(count).padStart(2, "0")}`,
    out_of_band_amount: input.out_of_band_amount ?? null,
    pdf: `${world.url}/cn/${id}/pdf`,
    post_payment_amount: isOpen ? 0 : total,
    pre_payment_amount: isOpen ? total : 0,
    pretax_credit_amounts: [],
    reason: input.reason ?? null,
    refunds: refunds.map((refund) => ({
      amount_refunded: refund.amount,
      payment_record_refund: null,
      refund: refund.id,
      type: "refund",
    })) as CreditNote["refunds"],
    shipping_cost: null,
    status: "issued",
    subtotal: total,
    subtotal_excluding_tax: total,
    total,
    total_excluding_tax: total,
    total_taxes: [],
    type: isOpen ? "pre_payment" : "post_payment",
    voided_at: null,
  });
  world.emit("credit_note.created", note);
  return note;
}

function settlePaid(world: World, input: CreateInput, total: number, invoiceId: string) {
  const given = (input.refund_amount ?? 0) + (input.credit_amount ?? 0) + (input.out_of_band_amount ?? 0);
  if (given !== total) {
    throw invalidRequest(
      "The sum of credit amount, refund amount and out of band amount must equal the credit note amount.",
    );
  }
  const invoice = world.invoices.get(invoiceId);
  if (input.credit_amount !== undefined && input.credit_amount > 0) {
    const customer = world.customer(invoice.customer ?? "");
    world.update(customer, { balance: customer.balance - input.credit_amount }, "customer.updated");
  }
  const intent = intentOf(world, invoice);
  if (input.refund_amount === undefined || input.refund_amount === 0 || intent === undefined) return [];
  return [refundCharge(world, { payment_intent: intent.id, amount: input.refund_amount })];
}

function linesOf(world: World, input: CreateInput): CreditNote["lines"]["data"] {
  const wanted = input.lines ?? [
    { type: "custom_line_item" as const, description: "Credit", quantity: 1, unit_amount: input.amount ?? 0 },
  ];
  return wanted.map((line) => {
    const quantity = line.quantity ?? 1;
    const amount = ("amount" in line ? line.amount : undefined) ?? (line.unit_amount ?? 0) * quantity;
    return {
      id: world.id("cnli"),
      object: "credit_note_line_item",
      amount,
      description: line.description ?? null,
      discount_amount: 0,
      discount_amounts: [],
      ...("invoice_line_item" in line && line.invoice_line_item !== undefined
        ? { invoice_line_item: line.invoice_line_item }
        : {}),
      livemode: false,
      metadata: {},
      pretax_credit_amounts: [],
      quantity,
      tax_rates: [],
      taxes: [],
      type: line.type,
      unit_amount: line.unit_amount ?? null,
      unit_amount_decimal: line.unit_amount === undefined ? null : String(line.unit_amount),
    };
  });
}
