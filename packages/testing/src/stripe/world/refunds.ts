import { behaviourOf } from "../cards.ts";
import { invalidRequest } from "../http/apiError.ts";
import { mergeMetadata } from "../http/parameters.ts";
import { insertBalanceTransaction } from "./balance.ts";
import type { Charge, Refund } from "./stored.ts";
import type { World } from "./world.ts";

export interface RefundRequest {
  readonly charge?: string | undefined;
  readonly payment_intent?: string | undefined;
  readonly amount?: number | undefined;
  readonly reason?: "duplicate" | "fraudulent" | "requested_by_customer" | undefined;
  readonly metadata?: Record<string, string> | "" | undefined;
}

/** Gives back a charge or a part of it; never more than is left of it. */
export function refundCharge(world: World, request: RefundRequest): Refund {
  const charge = chargeOf(world, request);
  if (!charge.captured) throw invalidRequest("This charge has not been captured.", { code: "charge_not_captured" });
  const left = charge.amount_captured - charge.amount_refunded;
  const amount = request.amount ?? left;
  if (left === 0) {
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, { code: "charge_already_refunded" });
  }
  if (charge.disputed && world.disputes.all().some((row) => row.charge === charge.id && !row.is_charge_refundable)) {
    throw invalidRequest(`Charge ${charge.id} has been charged back; cannot issue a refund.`, {
      code: "charge_disputed",
    });
  }
  if (amount <= 0 || amount > left) {
    throw invalidRequest(`Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`, {
      param: "amount",
    });
  }
  const card = world.paymentMethods.find(charge.payment_method);
  const behaviour = card === undefined ? undefined : behaviourOf(card).refunds;
  const refund = insertRefund(world, charge, amount, request, behaviour === "pending" ? "pending" : "succeeded");
  charge.amount_refunded += amount;
  charge.refunded = charge.amount_refunded === charge.amount_captured;
  world.emit("charge.refunded", charge, { amount_refunded: charge.amount_refunded - amount });
  world.emit("refund.created", refund);
  if (behaviour === "fail") failRefund(world, refund);
  return refund;
}

/** The bank sends it back: the money is the account's again. */
export function failRefund(world: World, refund: Refund): Refund {
  const charge = world.charges.get(refund.charge ?? "");
  charge.amount_refunded -= refund.amount;
  charge.refunded = false;
  const booked = insertBalanceTransaction(world, {
    amount: refund.amount,
    fee: 0,
    type: "refund",
    source: refund.id,
    currency: refund.currency,
    customer: charge.customer,
  });
  Object.assign(refund, {
    status: "failed",
    failure_reason: "expired_or_canceled_card",
    failure_balance_transaction: booked.id,
  });
  world.emit("refund.updated", refund);
  world.emit("refund.failed", refund);
  return refund;
}

export function settleRefund(world: World, refund: Refund): Refund {
  return world.update(refund, { status: "succeeded" }, "refund.updated");
}

function chargeOf(world: World, request: RefundRequest): Charge {
  if (request.charge !== undefined) return world.charges.get(request.charge, "charge");
  if (request.payment_intent === undefined) {
    throw invalidRequest("One of the following params should be provided for this request: payment_intent or charge.", {
      code: "parameter_missing",
    });
  }
  const intent = world.paymentIntents.get(request.payment_intent, "payment_intent");
  if (intent.latest_charge === null || intent.status !== "succeeded") {
    throw invalidRequest("This PaymentIntent does not have a successful charge to refund.", {
      code: "payment_intent_unexpected_state",
    });
  }
  return world.charges.get(intent.latest_charge);
}

function insertRefund(
  world: World,
  charge: Charge,
  amount: number,
  request: RefundRequest,
  status: "pending" | "succeeded",
): Refund {
  const id = world.id("re");
  const booked = insertBalanceTransaction(world, {
    amount: -amount,
    fee: 0,
    type: "refund",
    source: id,
    currency: charge.currency,
    customer: charge.customer,
  });
  return world.refunds.insert({
    id,
    object: "refund",
    amount,
    balance_transaction: booked.id,
    charge: charge.id,
    created: world.now(charge.customer),
    currency: charge.currency,
    customer: charge.customer,
    customer_account: null,
    destination_details: { card: { type: "refund" }, type: "card" },
    metadata: mergeMetadata(null, request.metadata),
    payment_intent: charge.payment_intent,
    payment_method: charge.payment_method,
    reason: request.reason ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status,
    transfer_reversal: null,
  });
}
