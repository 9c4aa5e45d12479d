import { createHash } from "node:crypto";
import type { PaymentMethod } from "./world/stored.ts";

export type StoredCard = NonNullable<PaymentMethod["card"]>;

/** What a test card does, by its number (https://docs.stripe.com/testing). */
export interface CardBehaviour {
  /** Refused when it is charged. */
  readonly declines?: { readonly code: string; readonly declineCode?: string; readonly message: string };
  /** Refused already when it is saved. */
  readonly isRefusedAtAttach?: boolean;
  /**
   * Whether the bank wants to ask the cardholder. `always`: for every payment, also one without the cardholder.
   * `untilSetUp`: not for a card that was set up for that.
   */
  readonly authentication?: "always" | "untilSetUp" | "onSession";
  readonly dispute?: "fraudulent" | "inquiry" | "product_not_received";
  /** Its refunds wait, or come back. */
  readonly refunds?: "pending" | "fail";
}

interface TestCard extends CardBehaviour {
  readonly number: string;
  readonly brand?: string;
  readonly names: readonly string[];
}

const decline = (code: string, message: string, declineCode?: string) => ({
  code,
  message,
  ...(declineCode === undefined ? {} : { declineCode }),
});
const DECLINED = decline("card_declined", "Your card was declined.", "generic_decline");
const INSUFFICIENT = decline("card_declined", "Your card has insufficient funds.", "insufficient_funds");

const TEST_CARDS: readonly TestCard[] = [
  { number: "4242424242424242", names: ["visa", "us", "bypassPending"] },
  { number: "4000000000000077", names: ["bypassPendingFunds"] },
  { number: "4000056655665556", names: ["visa_debit"] },
  { number: "5555555555554444", brand: "mastercard", names: ["mastercard"] },
  { number: "378282246310005", brand: "amex", names: ["amex"] },
  {
    number: "4000000000000002",
    names: ["chargeDeclined", "visa_chargeDeclined"],
    declines: DECLINED,
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000009995",
    names: ["chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"],
    declines: INSUFFICIENT,
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000009987",
    names: ["visa_chargeDeclinedLostCard"],
    declines: decline("card_declined", "Your card was declined.", "lost_card"),
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000009979",
    names: ["visa_chargeDeclinedStolenCard"],
    declines: decline("card_declined", "Your card was declined.", "stolen_card"),
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000000069",
    names: ["chargeDeclinedExpiredCard", "visa_chargeDeclinedExpiredCard"],
    declines: decline("expired_card", "Your card has expired."),
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000000127",
    names: ["chargeDeclinedIncorrectCvc", "visa_chargeDeclinedIncorrectCvc"],
    declines: decline("incorrect_cvc", "Your card's security code is incorrect."),
    isRefusedAtAttach: true,
  },
  {
    number: "4000000000000119",
    names: ["chargeDeclinedProcessingError", "visa_chargeDeclinedProcessingError"],
    declines: decline("processing_error", "An error occurred while processing your card. Try again in a little bit."),
    isRefusedAtAttach: true,
  },
  // Saved without a complaint and refused when it is charged: what dunning and automatic top-ups meet.
  { number: "4000000000000341", names: ["chargeCustomerFail"], declines: DECLINED },
  {
    number: "4000002500003155",
    names: ["authenticationRequiredOnSetup", "authenticationRequired"],
    authentication: "untilSetUp",
  },
  { number: "4000002760003184", names: ["authenticationRequiredAlways"], authentication: "always" },
  { number: "4000003800000446", names: ["authenticationRequiredSetupForOffSession"], authentication: "onSession" },
  { number: "4000000000003220", names: ["threeDSecure2Required", "threeDSecureRequired"], authentication: "always" },
  {
    number: "4000008260003178",
    names: ["authenticationRequiredChargeDeclinedInsufficientFunds"],
    authentication: "always",
    declines: INSUFFICIENT,
  },
  { number: "4000000000000259", names: ["createDispute"], dispute: "fraudulent" },
  { number: "4000000000002685", names: ["createDisputeProductNotReceived"], dispute: "product_not_received" },
  { number: "4000000000001976", names: ["createDisputeInquiry"], dispute: "inquiry" },
  { number: "4000000000007726", names: ["pendingRefund"], refunds: "pending" },
  { number: "4000000000005126", names: ["refundFail"], refunds: "fail" },
];

const BY_NUMBER = new Map(TEST_CARDS.map((card) => [card.number, card]));
const BY_NAME = new Map(TEST_CARDS.flatMap((card) => card.names.map((name) => [name, card] as const)));

/** The card behind `pm_card_visa`, `tok_visa` and their like; undefined for any other id. */
export function cardNamed(id: string): StoredCard | undefined {
  const name = /^(?:pm_card|tok|card)_(\w+)$/.exec(id)?.[1];
  const card = name === undefined ? undefined : BY_NAME.get(name);
  return card === undefined ? undefined : cardOf(card.number);
}

/** A card by its number; unknown numbers are no cards. */
export function cardNumbered(number: string, expiry?: { month: number; year: number }): StoredCard | undefined {
  const digits = number.replaceAll(/[ -]/g, "");
  return BY_NUMBER.has(digits) ? cardOf(digits, expiry) : undefined;
}

const fingerprintOf = (number: string): string =>
  createHash("sha256").update(number).digest("base64url").replaceAll(/[-_]/g, "0").slice(0, 16);
const NUMBER_BY_FINGERPRINT = new Map(TEST_CARDS.map(({ number }) => [fingerprintOf(number), number]));

/** What a stored card does. */
export const behaviourOf = (paymentMethod: PaymentMethod): CardBehaviour =>
  BY_NUMBER.get(NUMBER_BY_FINGERPRINT.get(paymentMethod.card?.fingerprint ?? "") ?? "") ?? {};

function cardOf(number: string, expiry = { month: 12, year: 2034 }): StoredCard {
  const brand = BY_NUMBER.get(number)?.brand ?? "visa";
  return {
    brand,
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
    country: "US",
    display_brand: brand,
    exp_month: expiry.month,
    exp_year: expiry.year,
    fingerprint: fingerprintOf(number),
    funding: "credit",
    generated_from: null,
    last4: number.slice(-4),
    networks: { available: [brand], preferred: null },
    regulated_status: "unregulated",
    three_d_secure_usage: { supported: true },
    wallet: null,
  };
}
