import { behaviourOf } from "../cards.ts";
import { insertBalanceTransaction } from "./balance.ts";
import { openDispute } from "./disputes.ts";
import type { CardError, Charge, PaymentIntent, PaymentMethod } from "./stored.ts";
import type { World } from "./world.ts";

/** What a charge costs the account: 2.9 % and 30 cents, as Stripe's standard price. */
const feeOf = (amount: number): number => Math.round(amount * 0.029) + 30;

export interface ConfirmOptions {
  /** The cardholder is not there. */
  readonly isOffSession: boolean;
  /** The cardholder has just been asked and has agreed. */
  readonly isAuthenticated?: boolean;
  readonly returnUrl?: string | undefined;
  /** Refuse instead of asking the cardholder. */
  readonly isErrorOnAction?: boolean;
}

/**
 * Carries an intent as far as its card lets it: to success, to a question for the cardholder, or to a refusal, which stays
 * on the intent as its last error.
 */
export function confirmPayment(
  world: World,
  intent: PaymentIntent,
  paymentMethod: PaymentMethod,
  options: ConfirmOptions,
): PaymentIntent {
  carry(world, intent, paymentMethod, options);
  world.onPayment(intent);
  return intent;
}

function carry(
  world: World,
  intent: PaymentIntent,
  paymentMethod: PaymentMethod,
  options: ConfirmOptions,
): PaymentIntent {
  intent.payment_method = paymentMethod.id;
  const behaviour = behaviourOf(paymentMethod);
  if (needsAuthentication(world, paymentMethod, options)) {
    if (options.isOffSession || options.isErrorOnAction === true) {
      return fail(world, intent, paymentMethod, {
        code: "authentication_required",
        decline_code: "authentication_required",
        message: "Your card was declined. This transaction requires authentication.",
      });
    }
    return world.update(
      intent,
      { status: "requires_action", next_action: actionOf(world, intent, options), last_payment_error: null },
      "payment_intent.requires_action",
    );
  }
  if (behaviour.declines !== undefined) {
    const { code, declineCode, message } = behaviour.declines;
    return fail(world, intent, paymentMethod, {
      code,
      message,
      ...(declineCode === undefined ? {} : { decline_code: declineCode }),
    });
  }
  return succeed(world, intent, paymentMethod);
}

function needsAuthentication(world: World, paymentMethod: PaymentMethod, options: ConfirmOptions): boolean {
  if (options.isAuthenticated === true) return false;
  switch (behaviourOf(paymentMethod).authentication) {
    case undefined:
      return false;
    case "always":
      return true;
    case "onSession":
      return !options.isOffSession;
    default:
      return !isSetUp(world, paymentMethod);
  }
}

/** Whether its holder has agreed to the card being charged without being asked again. */
const isSetUp = (world: World, paymentMethod: PaymentMethod): boolean =>
  world.cardsSetUp.find(paymentMethod.id) !== undefined;
export function markSetUp(world: World, paymentMethod: PaymentMethod): void {
  world.cardsSetUp.insert({ id: paymentMethod.id });
}

function actionOf(world: World, intent: PaymentIntent, options: ConfirmOptions): PaymentIntent["next_action"] {
  const url = `${world.url}/authenticate/${intent.id}`;
  return options.returnUrl === undefined
    ? { type: "use_stripe_sdk", use_stripe_sdk: { type: "three_d_secure_redirect", stripe_js: url } }
    : { type: "redirect_to_url", redirect_to_url: { url, return_url: options.returnUrl } };
}

function fail(
  world: World,
  intent: PaymentIntent,
  paymentMethod: PaymentMethod,
  error: Pick<CardError, "code" | "decline_code" | "message">,
): PaymentIntent {
  const charge = insertCharge(world, intent, paymentMethod, {
    status: "failed",
    paid: false,
    captured: false,
    amount_captured: 0,
    failure_code: error.code ?? null,
    failure_message: error.message ?? null,
    balance_transaction: null,
  });
  intent.latest_charge = charge.id;
  intent.last_payment_error = {
    type: "card_error",
    charge: charge.id,
    ...error,
    payment_method: structuredClone(paymentMethod) as unknown as NonNullable<CardError["payment_method"]>,
  } as CardError;
  intent.next_action = null;
  intent.status = "requires_payment_method";
  intent.payment_method = null;
  world.emit("charge.failed", charge);
  world.emit("payment_intent.payment_failed", intent);
  return intent;
}

function succeed(world: World, intent: PaymentIntent, paymentMethod: PaymentMethod): PaymentIntent {
  const isCaptured = intent.capture_method !== "manual";
  const charge = insertCharge(world, intent, paymentMethod, {
    status: "succeeded",
    paid: true,
    captured: isCaptured,
    amount_captured: isCaptured ? intent.amount : 0,
  });
  intent.latest_charge = charge.id;
  intent.last_payment_error = null;
  intent.next_action = null;
  if (intent.setup_future_usage !== null && intent.customer !== null) {
    attachTo(world, paymentMethod, intent.customer);
    markSetUp(world, paymentMethod);
  }
  world.emit("charge.succeeded", charge);
  if (!isCaptured) {
    Object.assign(intent, { status: "requires_capture", amount_capturable: intent.amount });
    world.emit("payment_intent.amount_capturable_updated", intent);
    return intent;
  }
  bookCharge(world, charge);
  Object.assign(intent, { status: "succeeded", amount_received: intent.amount });
  world.emit("payment_intent.succeeded", intent);
  const { dispute } = behaviourOf(paymentMethod);
  if (dispute !== undefined) openDispute(world, charge, { reason: dispute });
  return intent;
}

/** Takes the money that an authorised intent holds, all of it or less. */
export function capturePayment(world: World, intent: PaymentIntent, amount: number): PaymentIntent {
  const charge = world.charges.get(intent.latest_charge ?? "");
  Object.assign(charge, { captured: true, amount_captured: amount });
  if (amount < charge.amount) charge.amount_refunded = charge.amount - amount;
  bookCharge(world, charge);
  Object.assign(intent, { status: "succeeded", amount_capturable: 0, amount_received: amount });
  world.emit("charge.captured", charge);
  world.emit("payment_intent.succeeded", intent);
  return intent;
}

function bookCharge(world: World, charge: Charge): void {
  const amount = charge.amount_captured;
  const booked = insertBalanceTransaction(world, {
    amount,
    fee: feeOf(amount),
    type: "charge",
    source: charge.id,
    currency: charge.currency,
    customer: charge.customer,
  });
  charge.balance_transaction = booked.id;
}

/** Saves a card with a customer. */
export function attachTo(world: World, paymentMethod: PaymentMethod, customerId: string): PaymentMethod {
  if (paymentMethod.customer === customerId) return paymentMethod;
  paymentMethod.customer = customerId;
  world.emit("payment_method.attached", paymentMethod);
  return paymentMethod;
}

/** Forgets a card for good, and with it whatever it was the default of. */
export function detach(world: World, paymentMethod: PaymentMethod): void {
  const { id, customer } = paymentMethod;
  const owner = world.customers.find(customer);
  if (owner?.invoice_settings.default_payment_method === id) {
    const settings = { ...owner.invoice_settings, default_payment_method: null };
    world.update(owner, { invoice_settings: settings }, "customer.updated");
  }
  for (const subscription of world.subscriptions.filter((one) => one.default_payment_method === id)) {
    world.update(subscription, { default_payment_method: null }, "customer.subscription.updated");
  }
  paymentMethod.customer = null;
  world.emit("payment_method.detached", paymentMethod, { customer });
}

function insertCharge(
  world: World,
  intent: PaymentIntent,
  paymentMethod: PaymentMethod,
  outcome: Partial<Charge> & Pick<Charge, "status" | "paid">,
): Charge {
  const { card } = paymentMethod;
  const isGood = outcome.status === "succeeded";
  const id = world.id("ch");
  return world.charges.insert({
    id,
    object: "charge",
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: structuredClone(paymentMethod.billing_details),
    calculated_statement_descriptor: isGood ? "STAND-IN" : null,
    captured: false,
    created: world.now(intent.customer),
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    fraud_details: {},
    livemode: false,
    metadata: { ...intent.metadata },
    on_behalf_of: null,
    outcome: {
      advice_code: null,
      network_advice_code: null,
      network_decline_code: isGood ? null : "01",
      network_status: isGood ? "approved_by_network" : "declined_by_network",
      reason: isGood ? null : (outcome.failure_code ?? null),
      risk_level: "normal",
      risk_score: 20,
      seller_message: isGood ? "Payment complete." : "The bank did not return any further details with this decline.",
      type: isGood ? "authorized" : "issuer_declined",
    },
    payment_intent: intent.id,
    payment_method: paymentMethod.id,
    payment_method_details: card === undefined ? { type: paymentMethod.type } : cardDetailsOf(intent, card),
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: isGood ? `${world.url}/receipts/${id}` : null,
    refunded: false,
    review: null,
    shipping: intent.shipping,
    source: null,
    source_transfer: null,
    statement_descriptor: intent.statement_descriptor,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    transfer_data: null,
    transfer_group: intent.transfer_group,
    ...outcome,
  });
}

function cardDetailsOf(
  intent: PaymentIntent,
  card: NonNullable<PaymentMethod["card"]>,
): Charge["payment_method_details"] {
  return {
    type: "card",
    card: {
      amount_authorized: intent.amount,
      authorization_code: "123456",
      brand: card.brand,
      checks: card.checks,
      country: card.country,
      exp_month: card.exp_month,
      exp_year: card.exp_year,
      electronic_commerce_indicator: null,
      extended_authorization: { status: "disabled" },
      ...(card.fingerprint === undefined ? {} : { fingerprint: card.fingerprint }),
      funding: card.funding,
      incremental_authorization: { status: "unavailable" },
      installments: null,
      last4: card.last4,
      mandate: null,
      multicapture: { status: "unavailable" },
      network: card.brand,
      network_token: { used: false },
      network_transaction_id: "104102978678771",
      overcapture: { maximum_amount_capturable: intent.amount, status: "unavailable" },
      regulated_status: "unregulated",
      three_d_secure: null,
      transaction_link_id: null,
      wallet: null,
    },
  };
}
