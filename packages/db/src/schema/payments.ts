import { sql } from "drizzle-orm";
import { boolean, check, index, integer, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { billingAccounts } from "./billing.ts";
import { count, createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";

/** Which customer of Stripe's a billing account is. */
export const paymentCustomers = pgTable(
  "payment_customers",
  {
    billingAccountId: id("billing_account_id")
      .primaryKey()
      .references(() => billingAccounts.id),
    stripeCustomerId: text("stripe_customer_id").notNull(),
    /** Stripe has forgotten the customer: nothing can be charged any more. */
    deletedAt: instant("deleted_at"),
    createdAt: createdAt(),
  },
  (t) => [uniqueIndex("payment_customers_stripe_customer_id_key").on(t.stripeCustomerId)],
);

/** Cards that were announced, so that each comes and goes once. Which there are now, Stripe says. */
export const paymentCards = pgTable(
  "payment_cards",
  {
    /** Stripe's id of the payment method. */
    id: text("id").primaryKey(),
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    brand: text("brand").notNull(),
    last4: text("last4").notNull(),
    expMonth: integer("exp_month").notNull(),
    expYear: integer("exp_year").notNull(),
    isDefault: boolean("is_default").notNull().default(false),
    createdAt: createdAt(),
    /** A card that was taken off never comes back under its id. */
    removedAt: instant("removed_at"),
  },
  (t) => [index("payment_cards_billing_account_id_idx").on(t.billingAccountId, t.createdAt)],
);

export const PAYMENT_KINDS = ["card", "checkout", "auto_top_up"] as const;
export const PAYMENT_STATUSES = ["pending", "requires_action", "succeeded", "failed", "canceled"] as const;

/** Money that comes in for credit. The row is there before Stripe is asked, and says under which key it is asked. */
export const payments = pgTable(
  "payments",
  {
    id: id().primaryKey(),
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    kind: text("kind", { enum: PAYMENT_KINDS }).notNull(),
    status: text("status", { enum: PAYMENT_STATUSES }).notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    requestHash: text("request_hash").notNull(),
    /** In the currency's smallest unit, as Stripe counts. */
    amountCents: count("amount_cents").notNull(),
    currency: text("currency").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    cardId: text("card_id"),
    /** The invoice that it pays. */
    invoiceId: id("invoice_id"),
    stripePaymentIntentId: text("stripe_payment_intent_id"),
    stripeCheckoutSessionId: text("stripe_checkout_session_id"),
    failureCode: text("failure_code"),
    failureMessage: text("failure_message"),
    receiptUrl: text("receipt_url"),
    refundedCents: count("refunded_cents").notNull().default(0),
    disputeStatus: text("dispute_status"),
    /** Credit that refunds and lost disputes have taken back. */
    clawedBackMicros: micros("clawed_back_micros").notNull().default(sql`0`),
    /** The ledger's transaction that credited it: there is one for every payment that succeeded. */
    creditTransactionId: id("credit_transaction_id"),
    /** Grows with every answer of Stripe's that was applied, so that an older answer is never applied over a newer one. */
    revision: integer("revision").notNull().default(0),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    succeededAt: instant("succeeded_at"),
  },
  (t) => [
    uniqueIndex("payments_idempotency_key").on(t.billingAccountId, t.idempotencyKey),
    uniqueIndex("payments_stripe_payment_intent_id_key").on(t.stripePaymentIntentId),
    uniqueIndex("payments_stripe_checkout_session_id_key").on(t.stripeCheckoutSessionId),
    // Whatever runs twice: an account has one automatic top-up under way.
    uniqueIndex("payments_one_top_up_key")
      .on(t.billingAccountId)
      .where(sql`kind = 'auto_top_up' and status in ('pending', 'requires_action')`),
    // And an invoice one payment.
    uniqueIndex("payments_one_of_invoice_key").on(t.invoiceId).where(sql`status in ('pending', 'requires_action')`),
    index("payments_invoice_id_idx").on(t.invoiceId).where(sql`invoice_id is not null`),
    index("payments_billing_account_id_idx").on(t.billingAccountId, t.createdAt, t.id),
    index("payments_open_idx").on(t.createdAt).where(sql`status in ('pending', 'requires_action')`),
    index("payments_created_at_idx").on(t.createdAt, t.id),
    check("payments_kind_check", oneOf("kind", PAYMENT_KINDS)),
    check("payments_status_check", oneOf("status", PAYMENT_STATUSES)),
    check("payments_credited_check", sql`(status = 'succeeded') = (credit_transaction_id is not null)`),
    check("payments_clawed_back_check", sql`clawed_back_micros >= 0 and clawed_back_micros <= amount_micros`),
  ],
);

/** What Stripe gave back of a payment, and what that took from the wallet. */
export const paymentRefunds = pgTable(
  "payment_refunds",
  {
    /** Stripe's id. */
    id: text("id").primaryKey(),
    paymentId: id("payment_id")
      .notNull()
      .references(() => payments.id),
    amountCents: count("amount_cents").notNull(),
    status: text("status").notNull(),
    clawedBackMicros: micros("clawed_back_micros").notNull(),
    /** The refund came back from the bank, and the credit with it. */
    isRestored: boolean("is_restored").notNull().default(false),
    createdAt: createdAt(),
  },
  (t) => [index("payment_refunds_payment_id_idx").on(t.paymentId, t.createdAt)],
);

/** What cardholders dispute of a payment, and what a lost dispute took from the wallet. */
export const paymentDisputes = pgTable(
  "payment_disputes",
  {
    /** Stripe's id. */
    id: text("id").primaryKey(),
    paymentId: id("payment_id")
      .notNull()
      .references(() => payments.id),
    amountCents: count("amount_cents").notNull(),
    status: text("status").notNull(),
    reason: text("reason").notNull(),
    clawedBackMicros: micros("clawed_back_micros").notNull().default(sql`0`),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("payment_disputes_payment_id_idx").on(t.paymentId, t.createdAt)],
);

/** Events that Stripe has sent, each once. They say what to look up; what is true is looked up. */
export const stripeEvents = pgTable(
  "stripe_events",
  {
    /** Stripe's id of the event. */
    id: text("id").primaryKey(),
    type: text("type").notNull(),
    objectId: text("object_id").notNull(),
    /** Stripe's customer, where the event names one: an object that is gone cannot be asked whose it was. */
    stripeCustomerId: text("stripe_customer_id"),
    isLive: boolean("is_live").notNull(),
    /** Whether the event was of use: events of other kinds, other accounts and other modes are not. */
    isIgnored: boolean("is_ignored").notNull().default(false),
    happenedAt: instant("happened_at").notNull(),
    receivedAt: instant("received_at").notNull(),
    processedAt: instant("processed_at"),
  },
  (t) => [
    index("stripe_events_waiting_idx").on(t.receivedAt).where(sql`processed_at is null`),
    index("stripe_events_received_at_idx").on(t.receivedAt),
  ],
);

/** When to charge an account's card by itself. */
export const autoTopUps = pgTable(
  "auto_top_ups",
  {
    billingAccountId: id("billing_account_id")
      .primaryKey()
      .references(() => billingAccounts.id),
    isOn: boolean("is_on").notNull(),
    thresholdMicros: micros("threshold_micros").notNull(),
    amountCents: count("amount_cents").notNull(),
    maxPerMonthCents: count("max_per_month_cents").notNull(),
    cardId: text("card_id").notNull(),
    /** Refusals in a row. */
    failures: integer("failures").notNull().default(0),
    offReason: text("off_reason"),
    /** Not before this instant: after a refusal it waits longer each time. */
    nextAttemptAt: instant("next_attempt_at").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("auto_top_ups_due_idx").on(t.nextAttemptAt).where(sql`is_on`)],
);

/** Where this deployment and Stripe disagreed, as each comparison found it. */
export const paymentDifferences = pgTable(
  "payment_differences",
  {
    id: id().primaryKey(),
    kind: text("kind").notNull(),
    /** What the difference is about, so that a later comparison finds it again: a payment's id or Stripe's. */
    subject: text("subject").notNull(),
    paymentId: id("payment_id"),
    stripeId: text("stripe_id"),
    here: text("here"),
    there: text("there"),
    isHealed: boolean("is_healed").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    uniqueIndex("payment_differences_subject_key").on(t.kind, t.subject),
    index("payment_differences_created_at_idx").on(t.createdAt, t.id),
  ],
);
