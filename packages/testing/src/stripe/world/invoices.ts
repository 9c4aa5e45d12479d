import { invalidRequest } from "../http/apiError.ts";
import { innerList } from "../http/pages.ts";
import { cancelPayment, createPaymentIntent, throwIfRefused } from "../resources/paymentIntents.ts";
import type { NewLine } from "./invoiceLines.ts";
import { lineOf, takePendingItems } from "./invoiceLines.ts";
import { confirmPayment } from "./payments.ts";
import { daysAfter } from "./periods.ts";
import type { Invoice, InvoiceLine, PaymentIntent, Subscription } from "./stored.ts";
import type { World } from "./world.ts";

/** What is too little to charge waits on the customer's balance for the next invoice. */
const CHARGE_MIN = 50;

export interface NewInvoice {
  readonly customer: string;
  readonly currency: string;
  readonly reason: "manual" | "subscription_create" | "subscription_cycle" | "subscription_update";
  readonly lines: readonly NewLine[];
  readonly subscription?: Subscription | undefined;
  readonly period?: { readonly start: number; readonly end: number } | undefined;
  readonly isAutoAdvance?: boolean | undefined;
  readonly includesPending?: boolean | undefined;
  readonly details?: Partial<Invoice> | undefined;
}

/** An invoice as it would be, of no account's books yet. */
export function draftInvoice(world: World, request: NewInvoice): Invoice {
  const customer = world.customer(request.customer, "customer");
  const now = world.now(customer.id);
  const id = world.id("in");
  const { subscription } = request;
  const invoice: Invoice = {
    id,
    object: "invoice",
    account_country: "US",
    account_name: "Stand-in",
    account_tax_ids: null,
    amount_due: 0,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: 0,
    amount_shipping: 0,
    application: null,
    attempt_count: 0,
    attempted: false,
    auto_advance: request.isAutoAdvance ?? false,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: request.isAutoAdvance === true ? now + 3_600 : null,
    billing_reason: request.reason,
    collection_method: subscription?.collection_method ?? "charge_automatically",
    created: now,
    currency: request.currency,
    custom_fields: null,
    customer: customer.id,
    customer_account: null,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: customer.shipping as Invoice["customer_shipping"],
    customer_tax_exempt: customer.tax_exempt ?? null,
    customer_tax_ids: [],
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    due_date: null,
    effective_at: null,
    ending_balance: null,
    footer: null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: "self" },
    last_finalization_error: null,
    latest_revision: null,
    lines: innerList<InvoiceLine>([], `/v1/invoices/${id}/lines`),
    livemode: false,
    metadata: {},
    next_payment_attempt: null,
    number: null,
    on_behalf_of: null,
    parent:
      subscription === undefined
        ? null
        : {
            quote_details: null,
            subscription_details: { metadata: { ...subscription.metadata }, subscription: subscription.id },
            type: "subscription_details",
          },
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    period_end: request.period?.end ?? now,
    period_start: request.period?.start ?? now,
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: customer.balance,
    statement_descriptor: null,
    status: "draft",
    status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
    subtotal: 0,
    subtotal_excluding_tax: 0,
    test_clock: customer.test_clock ?? null,
    total: 0,
    total_discount_amounts: [],
    total_excluding_tax: 0,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: now,
    ...request.details,
  };
  invoice.lines.data = request.lines.map((line) => lineOf(world, line, id));
  addUp(invoice);
  return invoice;
}

export function createInvoice(world: World, request: NewInvoice): Invoice {
  const invoice = world.invoices.insert(draftInvoice(world, request));
  if (request.includesPending !== false) {
    const subscription = request.subscription?.id ?? null;
    const { customer, currency } = request;
    invoice.lines.data.push(...takePendingItems(world, { customer, subscription, invoice: invoice.id, currency }));
    addUp(invoice);
  }
  world.emit("invoice.created", invoice);
  return invoice;
}

/** Adds the lines up, and takes what the customer's balance gives or owes. */
export function addUp(invoice: Invoice): void {
  const total = invoice.lines.data.reduce((sum, line) => sum + line.amount, 0);
  const after = total + invoice.starting_balance;
  const due = after < CHARGE_MIN ? 0 : after;
  Object.assign(invoice, {
    subtotal: total,
    subtotal_excluding_tax: total,
    total,
    total_excluding_tax: total,
    amount_due: due,
    amount_remaining: due - invoice.amount_paid,
  });
}

/** Makes a draft final: it has a number, and a payment intent for what is due. Nothing due is paid at once. */
export function finalizeInvoice(world: World, invoice: Invoice): Invoice {
  if (invoice.status !== "draft") {
    throw invalidRequest("This invoice is already finalized, you can't re-finalize a non-draft invoice.", {
      code: "invoice_not_editable",
    });
  }
  const customer = world.customer(invoice.customer ?? "");
  const now = world.now(customer.id);
  invoice.starting_balance = customer.balance;
  addUp(invoice);
  const sequence = customer.next_invoice_sequence ?? 1;
  const endingBalance = invoice.starting_balance + invoice.total - invoice.amount_due;
  Object.assign(invoice, {
    status: "open",
    number: `${customer.invoice_prefix}-${String(sequence).padStart(4, "0")}`,
    effective_at: now,
    automatically_finalizes_at: null,
    ending_balance: endingBalance,
    hosted_invoice_url: `${world.url}/i/${invoice.id}`,
    invoice_pdf: `${world.url}/i/${invoice.id}/pdf`,
    status_transitions: { ...invoice.status_transitions, finalized_at: now },
  });
  world.update(
    customer,
    { balance: endingBalance, next_invoice_sequence: sequence + 1, currency: invoice.currency },
    "customer.updated",
  );
  if (invoice.amount_due > 0) addPayment(world, invoice);
  world.emit("invoice.finalized", invoice);
  if (invoice.amount_due === 0) markPaid(world, invoice);
  return invoice;
}

function addPayment(world: World, invoice: Invoice): void {
  const subscription = subscriptionOf(world, invoice);
  const method = paymentMethodOf(world, invoice);
  const intent = createPaymentIntent(world, {
    amount: invoice.amount_due,
    currency: invoice.currency,
    customer: invoice.customer ?? undefined,
    description: describe(invoice),
    payment_method_types: ["card"],
    setup_future_usage: subscription === undefined ? undefined : "off_session",
  });
  if (method !== undefined) Object.assign(intent, { payment_method: method, status: "requires_confirmation" });
  world.emit("payment_intent.created", intent);
  world.invoicePayments.insert({
    id: world.id("inpay"),
    object: "invoice_payment",
    amount_paid: null,
    amount_requested: invoice.amount_due,
    created: world.now(invoice.customer),
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: true,
    livemode: false,
    payment: { payment_intent: intent.id, type: "payment_intent" },
    status: "open",
    status_transitions: { canceled_at: null, paid_at: null },
  });
}

function describe(invoice: Invoice): string {
  switch (invoice.billing_reason) {
    case "subscription_create":
      return "Subscription creation";
    case "subscription_cycle":
      return "Subscription update";
    case "subscription_update":
      return "Subscription update";
    default:
      return `Payment for Invoice ${invoice.number}`;
  }
}

/** Whose card pays: the invoice's own, the subscription's, the customer's. */
export function paymentMethodOf(world: World, invoice: Invoice): string | undefined {
  const customer = world.customers.find(invoice.customer);
  const candidates = [
    invoice.default_payment_method,
    subscriptionOf(world, invoice)?.default_payment_method,
    customer?.invoice_settings.default_payment_method,
    customer?.default_source,
  ];
  return candidates.find((id): id is string => typeof id === "string" && world.paymentMethods.find(id) !== undefined);
}

export const subscriptionOf = (world: World, invoice: Invoice): Subscription | undefined =>
  world.subscriptions.find(invoice.parent?.subscription_details?.subscription);

export function intentOf(world: World, invoice: Invoice): PaymentIntent | undefined {
  const [payment] = world.invoicePayments.filter((row) => row.invoice === invoice.id && row.is_default);
  return world.paymentIntents.find(payment?.payment.payment_intent);
}

export interface PayOptions {
  readonly paymentMethod?: string | undefined;
  readonly isOffSession: boolean;
  /** Whether a refusal is an error for the caller, as it is for who asks to pay now. */
  readonly isThrowing?: boolean;
}

/** Tries to collect what is due. What becomes of it is known by the payment: see {@link followPayment}. */
export function payInvoice(world: World, invoice: Invoice, options: PayOptions): Invoice {
  if (invoice.status === "paid") throw invalidRequest("Invoice is already paid", { code: "invoice_already_paid" });
  if (invoice.status === "draft") finalizeInvoice(world, invoice);
  const intent = intentOf(world, invoice);
  if (intent === undefined || isPaid(invoice)) return invoice;
  if (invoice.status !== "open" && invoice.status !== "uncollectible") {
    throw invalidRequest(`This invoice can no longer be paid: it is ${invoice.status}.`);
  }
  const id = options.paymentMethod ?? paymentMethodOf(world, invoice);
  const method = id === undefined ? undefined : world.paymentMethod(id);
  // As Stripe counts: the first attempt of any kind, and after it only those of the schedule.
  if (options.isThrowing !== true || invoice.attempt_count === 0) invoice.attempt_count += 1;
  invoice.attempted = true;
  if (method === undefined) {
    refuse(world, invoice);
    if (options.isThrowing === true) {
      throw invalidRequest(
        "There is no `default_payment_method` set on this Customer or Invoice. Please set one before you pay.",
        {
          code: "resource_missing",
        },
      );
    }
    return invoice;
  }
  confirmPayment(world, intent, method, { isOffSession: options.isOffSession });
  if (options.isThrowing === true) throwIfRefused(intent);
  return invoice;
}

const isPaid = (invoice: Invoice): boolean => invoice.status === "paid";

/** A payment went on: the invoice that it is for follows. */
export function followPayment(world: World, intent: PaymentIntent): void {
  const [payment] = world.invoicePayments.filter((row) => row.payment.payment_intent === intent.id);
  const invoice = world.invoices.find(payment?.invoice);
  if (invoice === undefined || (invoice.status !== "open" && invoice.status !== "uncollectible")) return;
  if (intent.status === "succeeded") {
    markPaid(world, invoice);
    return;
  }
  if (intent.status === "requires_action") world.emit("invoice.payment_action_required", invoice);
  refuse(world, invoice);
}

function refuse(world: World, invoice: Invoice): void {
  const { retryAfterDays } = world.dunning;
  const days = invoice.billing_reason === "subscription_cycle" ? retryAfterDays[invoice.attempt_count - 1] : undefined;
  invoice.attempted = true;
  invoice.next_payment_attempt = days === undefined ? null : daysAfter(world.now(invoice.customer), days);
  world.emit("invoice.payment_failed", invoice);
  world.onInvoice(invoice, "refused");
}

export function markPaid(world: World, invoice: Invoice, isOutOfBand = false): void {
  const now = world.now(invoice.customer);
  Object.assign(invoice, {
    status: "paid",
    amount_paid: isOutOfBand ? 0 : invoice.amount_due,
    amount_remaining: 0,
    attempted: true,
    auto_advance: false,
    next_payment_attempt: null,
    status_transitions: { ...invoice.status_transitions, paid_at: now },
  });
  for (const payment of world.invoicePayments.filter((row) => row.invoice === invoice.id)) {
    Object.assign(payment, {
      status: isOutOfBand ? "canceled" : "paid",
      amount_paid: isOutOfBand ? null : payment.amount_requested,
      status_transitions: { canceled_at: isOutOfBand ? now : null, paid_at: isOutOfBand ? null : now },
    });
    if (!isOutOfBand) world.emit("invoice_payment.paid", payment);
  }
  world.emit("invoice.paid", invoice);
  world.emit("invoice.payment_succeeded", invoice);
  world.onInvoice(invoice, "paid");
}

export function voidInvoice(world: World, invoice: Invoice): Invoice {
  if (invoice.status !== "open" && invoice.status !== "uncollectible") {
    throw invalidRequest(`You can only void open or uncollectible invoices; this one is ${invoice.status}.`, {
      code: "invoice_not_editable",
    });
  }
  const intent = intentOf(world, invoice);
  if (intent !== undefined && intent.status !== "succeeded" && intent.status !== "canceled") {
    cancelPayment(world, intent, "void_invoice");
  }
  const now = world.now(invoice.customer);
  Object.assign(invoice, {
    status: "void",
    auto_advance: false,
    next_payment_attempt: null,
    status_transitions: { ...invoice.status_transitions, voided_at: now },
  });
  world.emit("invoice.voided", invoice);
  return invoice;
}
