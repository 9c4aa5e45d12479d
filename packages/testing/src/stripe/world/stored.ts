import type Stripe from "stripe";

/**
 * Stripe's types as they travel: a reference that may be expanded is its id, and a decimal is text. The library turns
 * decimals into objects when it reads an answer; nothing on the wire is one.
 */
export type Stored<T> = T extends Stripe.Decimal
  ? string
  : T extends string
    ? T
    : T extends readonly (infer Item)[]
      ? StoredField<Item>[]
      : T extends object
        ? { [Key in keyof T]: StoredField<T[Key]> }
        : T;

type Tagged = { object: string };
type StoredField<T> = string extends T ? Stored<Exclude<T, Tagged>> : Stored<T>;

export type Customer = Stored<Stripe.Customer>;
export type PaymentMethod = Stored<Stripe.PaymentMethod>;
export type SetupIntent = Stored<Stripe.SetupIntent>;
export type PaymentIntent = Stored<Stripe.PaymentIntent>;
export type Charge = Stored<Stripe.Charge>;
export type Refund = Stored<Stripe.Refund>;
export type Dispute = Stored<Stripe.Dispute>;
export type BalanceTransaction = Stored<Stripe.BalanceTransaction>;
export type Product = Stored<Stripe.Product>;
export type Price = Stored<Stripe.Price>;
export type Plan = Stored<Stripe.Plan>;
export type Subscription = Stored<Stripe.Subscription>;
export type SubscriptionItem = Stored<Stripe.SubscriptionItem>;
export type Invoice = Stored<Stripe.Invoice>;
export type InvoiceItem = Stored<Stripe.InvoiceItem>;
export type InvoiceLine = Stored<Stripe.InvoiceLineItem>;
export type InvoicePayment = Stored<Stripe.InvoicePayment>;
export type CreditNote = Stored<Stripe.CreditNote>;
export type CheckoutSession = Stored<Stripe.Checkout.Session>;
export type CheckoutLine = Stored<Stripe.LineItem>;
export type PortalSession = Stored<Stripe.BillingPortal.Session>;
export type WebhookEndpoint = Stored<Stripe.WebhookEndpoint>;
export type TestClockObject = Stored<Stripe.TestHelpers.TestClock>;
export type CardError = NonNullable<PaymentIntent["last_payment_error"]>;

/** An event as it is kept: the object inside is a copy of what it was when it happened. */
export interface StoredEvent {
  id: string;
  object: "event";
  api_version: string;
  created: number;
  data: { object: Record<string, unknown>; previous_attributes?: Record<string, unknown> };
  livemode: boolean;
  pending_webhooks: number;
  request: { id: string | null; idempotency_key: string | null };
  type: string;
}
