import { z } from "zod";
import { invalidRequest } from "../http/apiError.ts";
import { pageOf, pageOfRows } from "../http/pages.ts";
import {
  anything,
  bool,
  currency,
  expand,
  int,
  isInRange,
  mergeMetadata,
  metadata,
  paging,
  range,
  text,
  unsettable,
} from "../http/parameters.ts";
import { idOf, route } from "../http/route.ts";
import type { NewLine } from "../world/invoiceLines.ts";
import { insertInvoiceItem, lineOfItem } from "../world/invoiceLines.ts";
import {
  addUp,
  createInvoice,
  draftInvoice,
  finalizeInvoice,
  markPaid,
  payInvoice,
  voidInvoice,
} from "../world/invoices.ts";
import { recurringOf } from "../world/prices.ts";
import type { Invoice } from "../world/stored.ts";
import type { SubscriptionChange } from "../world/subscriptionChanges.ts";
import { itemChanges, prorationLines } from "../world/subscriptionChanges.ts";
import { dueDateOf, itemsOf, lineOfPeriod, nextBoundary, periodEndOf } from "../world/subscriptions.ts";
import type { World } from "../world/world.ts";
import { previewDetails } from "./subscriptions.ts";

const fields = {
  auto_advance: bool.optional(),
  collection_method: z.enum(["charge_automatically", "send_invoice"]).optional(),
  days_until_due: int.optional(),
  default_payment_method: text.optional(),
  description: unsettable.optional(),
  footer: unsettable.optional(),
  metadata: metadata.optional(),
  payment_settings: anything.optional(),
  custom_fields: anything.optional(),
  expand,
};
const createInput = z.strictObject({
  ...fields,
  currency: currency.optional(),
  customer: text,
  subscription: text.optional(),
  pending_invoice_items_behavior: z.enum(["include", "exclude"]).optional(),
});

export const invoiceRoutes = [
  route("POST", "/v1/invoices", createInput, ({ world, input }) => {
    const customer = world.customer(input.customer, "customer");
    const subscription =
      input.subscription === undefined ? undefined : world.subscriptions.get(input.subscription, "subscription");
    const now = world.now(customer.id);
    return createInvoice(world, {
      customer: customer.id,
      currency: input.currency ?? customer.currency ?? "usd",
      reason: "manual",
      subscription,
      lines: [],
      isAutoAdvance: input.auto_advance ?? false,
      // Nothing that waits is taken unless it is asked for.
      includesPending: input.pending_invoice_items_behavior === "include",
      details: {
        ...(input.default_payment_method === undefined
          ? {}
          : {
              default_payment_method: world.paymentMethods.get(input.default_payment_method, "default_payment_method")
                .id,
            }),
        ...(input.collection_method === "send_invoice"
          ? { collection_method: "send_invoice", due_date: dueDateOf(now, input.days_until_due ?? null) }
          : {}),
        description: input.description ?? null,
        footer: input.footer ?? null,
        metadata: mergeMetadata(null, input.metadata),
      },
    });
  }),
  route(
    "POST",
    "/v1/invoices/create_preview",
    z.strictObject({
      customer: text.optional(),
      subscription: text.optional(),
      subscription_details: previewDetails.optional(),
      preview_mode: text.optional(),
      currency: currency.optional(),
      expand,
    }),
    ({ world, input }) => preview(world, input),
  ),
  route("GET", "/v1/invoices/:id", z.strictObject({ expand }), (call) => call.world.invoices.get(idOf(call))),
  route("POST", "/v1/invoices/:id", z.strictObject(fields), (call) => {
    const { world, input } = call;
    const row = world.invoices.get(idOf(call));
    const { auto_advance, description, footer, default_payment_method } = input;
    return world.update(
      row,
      {
        metadata: mergeMetadata(row.metadata, input.metadata),
        ...(auto_advance === undefined ? {} : { auto_advance }),
        ...(description === undefined ? {} : { description }),
        ...(footer === undefined ? {} : { footer }),
        ...(default_payment_method === undefined ? {} : { default_payment_method }),
      },
      "invoice.updated",
    );
  }),
  route("DELETE", "/v1/invoices/:id", z.strictObject({}), (call) => {
    const { world } = call;
    const row = world.invoices.get(idOf(call));
    if (row.status !== "draft")
      throw invalidRequest("You can only delete draft invoices.", { code: "invoice_not_editable" });
    for (const item of world.invoiceItems.filter((one) => one.invoice === row.id)) item.invoice = null;
    world.invoices.delete(row.id);
    world.emit("invoice.deleted", row);
    return { id: row.id, object: "invoice", deleted: true };
  }),
  route("POST", "/v1/invoices/:id/finalize", z.strictObject({ auto_advance: bool.optional(), expand }), (call) =>
    finalizeInvoice(call.world, call.world.invoices.get(idOf(call))),
  ),
  route(
    "POST",
    "/v1/invoices/:id/pay",
    z.strictObject({
      payment_method: text.optional(),
      source: text.optional(),
      off_session: bool.optional(),
      paid_out_of_band: bool.optional(),
      forgive: bool.optional(),
      expand,
    }),
    (call) => {
      const { world, input } = call;
      const row = world.invoices.get(idOf(call));
      if (input.paid_out_of_band === true) {
        if (row.status === "draft") finalizeInvoice(world, row);
        if (row.status !== "paid") markPaid(world, row, true);
        return row;
      }
      return payInvoice(world, row, {
        paymentMethod: input.payment_method,
        isOffSession: input.off_session ?? true,
        isThrowing: true,
      });
    },
  ),
  route("POST", "/v1/invoices/:id/send", z.strictObject({ expand }), (call) => {
    const row = call.world.invoices.get(idOf(call));
    if (row.status === "draft") finalizeInvoice(call.world, row);
    call.world.emit("invoice.sent", row);
    return row;
  }),
  route("POST", "/v1/invoices/:id/void", z.strictObject({ expand }), (call) =>
    voidInvoice(call.world, call.world.invoices.get(idOf(call))),
  ),
  route("POST", "/v1/invoices/:id/mark_uncollectible", z.strictObject({ expand }), (call) => {
    const { world } = call;
    const row = world.invoices.get(idOf(call));
    if (row.status !== "open")
      throw invalidRequest("You can only mark open invoices as uncollectible.", { code: "invoice_not_editable" });
    const transitions = { ...row.status_transitions, marked_uncollectible_at: world.now(row.customer) };
    Object.assign(row, { status: "uncollectible", next_payment_attempt: null, status_transitions: transitions });
    world.emit("invoice.marked_uncollectible", row);
    return row;
  }),
  route("GET", "/v1/invoices/:id/lines", z.strictObject(paging), (call) =>
    pageOfRows(call.world.invoices.get(idOf(call)).lines.data, call.input, call.path),
  ),
  route(
    "GET",
    "/v1/invoices",
    z.strictObject({
      ...paging,
      customer: text.optional(),
      subscription: text.optional(),
      status: text.optional(),
      collection_method: text.optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.invoices,
        input,
        path,
        (row) =>
          isInRange(row.created, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.status === undefined || row.status === input.status) &&
          (input.subscription === undefined || row.parent?.subscription_details?.subscription === input.subscription),
      ),
  ),
  route(
    "GET",
    "/v1/invoice_payments",
    z.strictObject({
      ...paging,
      invoice: text.optional(),
      status: text.optional(),
      payment: z.strictObject({ type: text, payment_intent: text.optional() }).optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.invoicePayments,
        input,
        path,
        (row) =>
          (input.invoice === undefined || row.invoice === input.invoice) &&
          (input.status === undefined || row.status === input.status) &&
          (input.payment?.payment_intent === undefined || row.payment.payment_intent === input.payment.payment_intent),
      ),
  ),
  route("GET", "/v1/invoice_payments/:id", z.strictObject({ expand }), (call) =>
    call.world.invoicePayments.get(idOf(call)),
  ),
];

export const invoiceItemRoutes = [
  route(
    "POST",
    "/v1/invoiceitems",
    z.strictObject({
      amount: int.optional(),
      currency: currency.optional(),
      customer: text,
      description: text.optional(),
      discountable: bool.optional(),
      invoice: text.optional(),
      metadata: metadata.optional(),
      period: z.strictObject({ start: int, end: int }).optional(),
      pricing: z.strictObject({ price: text }).optional(),
      quantity: int.optional(),
      subscription: text.optional(),
      expand,
    }),
    ({ world, input }) => {
      const customer = world.customer(input.customer, "customer");
      const now = world.now(customer.id);
      const price = input.pricing === undefined ? undefined : world.prices.get(input.pricing.price, "pricing[price]");
      const quantity = input.quantity ?? 1;
      const amount = input.amount ?? (price?.unit_amount ?? 0) * quantity;
      const invoice = input.invoice === undefined ? undefined : world.invoices.get(input.invoice, "invoice");
      if (invoice !== undefined && invoice.status !== "draft") {
        throw invalidRequest("This invoice is no longer editable.", { code: "invoice_not_editable", param: "invoice" });
      }
      const line: NewLine = {
        amount,
        currency: input.currency ?? price?.currency ?? customer.currency ?? "usd",
        description: input.description ?? "",
        period: input.period ?? { start: now, end: now },
        price,
        quantity,
        subscription: input.subscription ?? null,
        metadata: mergeMetadata(null, input.metadata),
      };
      const item = insertInvoiceItem(world, customer.id, line, invoice?.id ?? null);
      if (invoice !== undefined) {
        invoice.lines.data.push(lineOfItem(world, item, invoice.id));
        addUp(invoice);
        world.emit("invoice.updated", invoice);
      }
      return item;
    },
  ),
  route("GET", "/v1/invoiceitems/:id", z.strictObject({ expand }), (call) => call.world.invoiceItems.get(idOf(call))),
  route("DELETE", "/v1/invoiceitems/:id", z.strictObject({}), (call) => {
    const { world } = call;
    const row = world.invoiceItems.get(idOf(call));
    const invoice = world.invoices.find(row.invoice);
    if (invoice !== undefined && invoice.status !== "draft") {
      throw invalidRequest("This invoice is no longer editable.", { code: "invoice_not_editable" });
    }
    world.invoiceItems.delete(row.id);
    if (invoice !== undefined) {
      invoice.lines.data = invoice.lines.data.filter(
        (line) => line.parent?.invoice_item_details?.invoice_item !== row.id,
      );
      addUp(invoice);
    }
    world.emit("invoiceitem.deleted", row);
    return { id: row.id, object: "invoiceitem", deleted: true };
  }),
  route(
    "GET",
    "/v1/invoiceitems",
    z.strictObject({
      ...paging,
      customer: text.optional(),
      invoice: text.optional(),
      pending: bool.optional(),
      created: range.optional(),
    }),
    ({ world, input, path }) =>
      pageOf(
        world.invoiceItems,
        input,
        path,
        (row) =>
          isInRange(row.date, input.created) &&
          (input.customer === undefined || row.customer === input.customer) &&
          (input.invoice === undefined || row.invoice === input.invoice) &&
          (input.pending === undefined || (row.invoice === null) === input.pending),
      ),
  ),
];

/** The next invoice of a subscription, as it is or as it would be after a change. Nothing is kept. */
function preview(
  world: World,
  input: {
    customer?: string | undefined;
    subscription?: string | undefined;
    subscription_details?: z.output<typeof previewDetails> | undefined;
  },
): Invoice {
  const details = input.subscription_details;
  if (input.subscription === undefined) {
    throw invalidRequest("Missing required param: subscription.", { code: "parameter_missing", param: "subscription" });
  }
  const subscription = world.subscriptions.get(input.subscription, "subscription");
  const now = world.now(subscription.customer);
  const change: SubscriptionChange = {
    items: itemChanges(world, subscription, details?.items ?? []),
    prorationBehavior: details?.proration_behavior ?? "create_prorations",
    prorationDate: details?.proration_date ?? now,
    isAnchorReset: details?.billing_cycle_anchor === "now",
    paymentBehavior: "allow_incomplete",
    isOffSession: true,
    details: {},
  };
  const lines = prorationLines(world, subscription, change);
  const isNow = change.prorationBehavior === "always_invoice" && change.items.length > 0;
  const { customer, currency: code } = subscription;
  const invoice = draftInvoice(world, {
    customer,
    currency: code,
    reason: "subscription_update",
    subscription,
    lines: isNow ? lines : [...lines, ...nextPeriodLines(world, input.subscription, change)],
    period: { start: now, end: isNow ? now : periodEndOf(subscription) },
  });
  invoice.id = `upcoming_${invoice.id}`;
  for (const line of invoice.lines.data) line.invoice = invoice.id;
  return invoice;
}

function nextPeriodLines(world: World, id: string, change: SubscriptionChange): NewLine[] {
  const after = structuredClone(world.subscriptions.get(id));
  for (const { item, price, quantity, isDeleted } of change.items) {
    const own = itemsOf(after).find((one) => one.id === item?.id);
    if (own === undefined) continue;
    if (isDeleted) after.items.data.splice(after.items.data.indexOf(own), 1);
    if (price !== undefined) own.price = structuredClone(price);
    if (quantity !== undefined) own.quantity = quantity;
  }
  const start = periodEndOf(after);
  for (const item of itemsOf(after)) {
    const end = nextBoundary(after.billing_cycle_anchor, recurringOf(item.price), start);
    Object.assign(item, { current_period_start: start, current_period_end: end });
  }
  return itemsOf(after).map((item) => lineOfPeriod(world, after, item));
}
