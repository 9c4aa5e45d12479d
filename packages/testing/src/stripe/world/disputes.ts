import { invalidRequest } from "../http/apiError.ts";
import { insertBalanceTransaction } from "./balance.ts";
import type { Charge, Dispute } from "./stored.ts";
import type { World } from "./world.ts";

const EVIDENCE_SECONDS = 9 * 86_400;
/** What a dispute costs the account besides the amount. */
const DISPUTE_FEE = 1_500;

const NO_EVIDENCE: Dispute["evidence"] = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: null,
  customer_name: null,
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
};

/** A cardholder asks the bank for the money back. An inquiry is only a question: no money moves. */
export function openDispute(
  world: World,
  charge: Charge,
  options: { readonly reason: string; readonly amount?: number | undefined },
): Dispute {
  if (charge.disputed) throw invalidRequest(`Charge ${charge.id} has already been disputed.`);
  const isInquiry = options.reason === "inquiry";
  const amount = options.amount ?? charge.amount - charge.amount_refunded;
  const now = world.now(charge.customer);
  const dispute = world.disputes.insert({
    id: world.id("dp"),
    object: "dispute",
    amount,
    balance_transactions: [],
    charge: charge.id,
    created: now,
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: structuredClone(NO_EVIDENCE),
    evidence_details: {
      due_by: now + EVIDENCE_SECONDS,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: "not_submitted",
    },
    intended_submission_method: null,
    is_charge_refundable: isInquiry,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    payment_method_details: {
      card: {
        brand: "visa",
        case_type: isInquiry ? "inquiry" : "chargeback",
        network: "visa",
        network_reason_code: "10.4",
      },
      type: "card",
    } as NonNullable<Dispute["payment_method_details"]>,
    reason: isInquiry ? "fraudulent" : options.reason,
    status: isInquiry ? "warning_needs_response" : "needs_response",
  });
  charge.disputed = true;
  world.emit("charge.dispute.created", dispute);
  if (!isInquiry) move(world, dispute, charge, -amount, DISPUTE_FEE, "charge.dispute.funds_withdrawn");
  return dispute;
}

/** The bank decides. A dispute that is won gives the money back. */
export function closeDispute(world: World, dispute: Dispute, outcome: "won" | "lost"): Dispute {
  const isInquiry = dispute.status.startsWith("warning_");
  const charge = world.charges.get(dispute.charge);
  if (isInquiry) dispute.status = "warning_closed";
  else dispute.status = outcome;
  if (!isInquiry && outcome === "won")
    move(world, dispute, charge, dispute.amount, 0, "charge.dispute.funds_reinstated");
  world.emit("charge.dispute.closed", dispute);
  return dispute;
}

function move(world: World, dispute: Dispute, charge: Charge, amount: number, fee: number, type: string): void {
  const booked = insertBalanceTransaction(world, {
    amount,
    fee,
    type: "adjustment",
    source: dispute.id,
    currency: dispute.currency,
    customer: charge.customer,
  });
  dispute.balance_transactions.push(structuredClone(booked));
  world.emit(type, dispute);
}
