import { invalidRequest } from "../http/apiError.ts";
import { createCustomer } from "../resources/customers.ts";
import { createPaymentIntent, throwIfRefused } from "../resources/paymentIntents.ts";
import { confirmSetup } from "../resources/setupIntents.ts";
import { intentOf } from "./invoices.ts";
import { confirmPayment } from "./payments.ts";
import type { CheckoutSession, PaymentMethod } from "./stored.ts";
import { createSubscription } from "./subscriptions.ts";
import type { World } from "./world.ts";

/** What somebody at the hosted page has entered. */
export interface CheckoutEntry {
  readonly paymentMethod: PaymentMethod;
  readonly email?: string | undefined;
  /** The cardholder has been asked by the bank and has agreed. */
  readonly isAuthenticated?: boolean;
}

/**
 * Pays, or saves the card, as somebody at the page does. A card that is refused leaves the session open for another one.
 * @returns the session; it is still open when the bank asks the cardholder first
 * @throws ApiError 402
 */
export function completeCheckout(world: World, session: CheckoutSession, entry: CheckoutEntry): CheckoutSession {
  if (session.status !== "open") throw invalidRequest(`This checkout session is ${session.status}.`);
  if (session.customer === null && session.mode !== "payment") {
    session.customer = createCustomer(world, { email: entry.email ?? session.customer_email ?? undefined }).id;
  }
  const isDone =
    session.mode === "payment"
      ? pay(world, session, entry)
      : session.mode === "setup"
        ? saveCard(world, session, entry)
        : subscribe(world, session, entry);
  return isDone ? finish(world, session, entry) : session;
}

function finish(world: World, session: CheckoutSession, entry: CheckoutEntry): CheckoutSession {
  const isPaid = session.mode !== "setup";
  const email = entry.email ?? session.customer_email ?? world.customers.find(session.customer)?.email ?? null;
  Object.assign(session, {
    status: "complete",
    payment_status: isPaid ? "paid" : "no_payment_required",
    url: null,
    customer_details: {
      address: null,
      business_name: null,
      email,
      individual_name: null,
      name: null,
      phone: null,
      tax_exempt: "none",
      tax_ids: [],
    },
  });
  world.emit("checkout.session.completed", session);
  return session;
}

function pay(world: World, session: CheckoutSession, entry: CheckoutEntry): boolean {
  const { paymentData } = world.checkouts.get(session.id);
  const previous = world.paymentIntents.find(session.payment_intent);
  const intent =
    previous ??
    createPaymentIntent(world, {
      amount: session.amount_total ?? 0,
      currency: session.currency ?? "usd",
      customer: session.customer ?? undefined,
      payment_method_types: ["card"],
      ...(paymentData as object),
    });
  if (previous === undefined) {
    session.payment_intent = intent.id;
    world.emit("payment_intent.created", intent);
  }
  confirmPayment(world, intent, entry.paymentMethod, {
    isOffSession: false,
    isAuthenticated: entry.isAuthenticated === true,
  });
  throwIfRefused(intent);
  return intent.status === "succeeded" || intent.status === "requires_capture";
}

function saveCard(world: World, session: CheckoutSession, entry: CheckoutEntry): boolean {
  const intent = world.setupIntents.get(session.setup_intent ?? "");
  intent.payment_method = entry.paymentMethod.id;
  intent.customer = session.customer;
  confirmSetup(world, intent, { isAuthenticated: entry.isAuthenticated === true });
  return intent.status === "succeeded";
}

function subscribe(world: World, session: CheckoutSession, entry: CheckoutEntry): boolean {
  const { lines, subscriptionData } = world.checkouts.get(session.id);
  const existing = world.subscriptions.find(session.subscription);
  const subscription =
    existing ??
    createSubscription(world, {
      customer: session.customer ?? "",
      items: lines.flatMap(({ price, quantity }) => (price === null ? [] : [{ price, quantity: quantity ?? 1 }])),
      paymentBehavior: "default_incomplete",
      isOffSession: false,
      details: { default_payment_method: null, ...(subscriptionData as object) },
    });
  session.subscription = subscription.id;
  session.invoice = subscription.latest_invoice;
  const invoice = world.invoices.get(subscription.latest_invoice ?? "");
  const intent = intentOf(world, invoice);
  if (intent === undefined) return true;
  confirmPayment(world, intent, entry.paymentMethod, {
    isOffSession: false,
    isAuthenticated: entry.isAuthenticated === true,
  });
  throwIfRefused(intent);
  if (intent.status !== "succeeded") return false;
  world.update(subscription, { default_payment_method: entry.paymentMethod.id }, "customer.subscription.updated");
  return true;
}
