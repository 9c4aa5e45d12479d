import type { InvoiceItem, InvoiceLine, Price } from "./stored.ts";
import type { World } from "./world.ts";

export interface NewLine {
  readonly amount: number;
  readonly description: string;
  readonly currency: string;
  readonly period: { readonly start: number; readonly end: number };
  readonly price?: Price | undefined;
  readonly quantity?: number | undefined;
  readonly isProration?: boolean | undefined;
  readonly subscription?: string | null | undefined;
  readonly subscriptionItem?: string | undefined;
  readonly invoiceItem?: string | undefined;
  readonly metadata?: Record<string, string> | undefined;
}

export function lineOf(world: World, line: NewLine, invoice: string | null): InvoiceLine {
  const quantity = line.quantity ?? 1;
  const subscription = line.subscription ?? null;
  const proration = line.isProration ?? false;
  return {
    id: world.id("il"),
    object: "line_item",
    amount: line.amount,
    currency: line.currency,
    description: line.description,
    discount_amounts: [],
    discountable: !proration,
    discounts: [],
    invoice,
    livemode: false,
    metadata: line.metadata ?? {},
    parent:
      line.subscriptionItem === undefined
        ? {
            invoice_item_details: {
              invoice_item: line.invoiceItem ?? world.id("ii"),
              proration,
              proration_details: { credited_items: null },
              subscription,
            },
            subscription_item_details: null,
            type: "invoice_item_details",
          }
        : {
            invoice_item_details: null,
            subscription_item_details: {
              invoice_item: null,
              proration,
              proration_details: { credited_items: null },
              subscription,
              subscription_item: line.subscriptionItem,
            },
            type: "subscription_item_details",
          },
    period: { ...line.period },
    pretax_credit_amounts: [],
    pricing: pricingOf(line.price, line.amount, quantity),
    quantity,
    quantity_decimal: String(quantity),
    subscription,
    subtotal: line.amount,
    taxes: [],
  };
}

function pricingOf(price: Price | undefined, amount: number, quantity: number): InvoiceLine["pricing"] {
  return price === undefined
    ? { type: "price_details", unit_amount_decimal: String(quantity === 0 ? 0 : amount / quantity) }
    : {
        price_details: { price: price.id, product: price.product },
        type: "price_details",
        unit_amount_decimal: price.unit_amount_decimal,
      };
}

/** An amount that waits for the customer's next invoice. */
export function insertInvoiceItem(world: World, customer: string, line: NewLine, invoice: string | null): InvoiceItem {
  const quantity = line.quantity ?? 1;
  const subscription = line.subscription ?? null;
  const item = world.invoiceItems.insert({
    id: world.id("ii"),
    object: "invoiceitem",
    amount: line.amount,
    currency: line.currency,
    customer,
    customer_account: null,
    date: world.now(customer),
    description: line.description,
    discountable: true,
    discounts: [],
    invoice,
    livemode: false,
    metadata: line.metadata ?? {},
    net_amount: line.amount,
    parent:
      subscription === null
        ? null
        : ({ subscription_details: { subscription }, type: "subscription_details" } as InvoiceItem["parent"]),
    period: { ...line.period },
    pricing: pricingOf(line.price, line.amount, quantity) as InvoiceItem["pricing"],
    proration: line.isProration ?? false,
    quantity,
    quantity_decimal: String(quantity),
    tax_rates: [],
    test_clock: world.testClockOf(customer),
  });
  world.emit("invoiceitem.created", item);
  return item;
}

/** The lines of everything that waits for an invoice of this customer, and of this subscription if there is one. */
export function takePendingItems(
  world: World,
  of: { customer: string; subscription: string | null; invoice: string; currency: string },
): InvoiceLine[] {
  const items = world.invoiceItems.filter(
    (row) =>
      row.customer === of.customer &&
      row.invoice === null &&
      row.currency === of.currency &&
      (of.subscription === null
        ? row.parent === null
        : row.parent === null || row.parent.subscription_details?.subscription === of.subscription),
  );
  return items.map((item) => {
    item.invoice = of.invoice;
    return lineOfItem(world, item, of.invoice);
  });
}

export function lineOfItem(world: World, item: InvoiceItem, invoice: string): InvoiceLine {
  const price = world.prices.find(item.pricing?.price_details?.price);
  return lineOf(
    world,
    {
      amount: item.amount,
      description: item.description ?? "",
      currency: item.currency,
      period: item.period,
      price,
      quantity: item.quantity,
      isProration: item.proration,
      subscription: item.parent?.subscription_details?.subscription ?? null,
      invoiceItem: item.id,
      metadata: item.metadata ?? {},
    },
    invoice,
  );
}
