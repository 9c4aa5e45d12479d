import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { count, createdAt, id, instant, int8, micros, oneOf, updatedAt } from "./columns.ts";
import { customers } from "./customers.ts";

export interface PostalAddress {
  readonly line1: string;
  readonly line2: string | null;
  readonly city: string;
  readonly region: string | null;
  readonly postalCode: string | null;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
}

/** Who an invoice is from or to, as it was when the invoice was made: an invoice does not change with an address. */
export interface InvoiceParty {
  readonly name: string;
  readonly address: PostalAddress | null;
  readonly taxId: string | null;
  readonly email: string | null;
}

export const OVERAGE_POLICIES = ["block", "invoice"] as const;

/** Plans. They ship as seed data; the id is the plan's name. */
export const tiers = pgTable(
  "tiers",
  {
    id: id().primaryKey(),
    displayName: text("display_name").notNull(),
    rank: integer("rank").notNull(),
    monthlyPriceMicros: micros("monthly_price_micros").notNull(),
    freeCallsPerMonth: count("free_calls_per_month").notNull(),
    rateLimitPerSecond: integer("rate_limit_per_second").notNull(),
    overage: text("overage", { enum: OVERAGE_POLICIES }).notNull(),
    creditLimitMicros: micros("credit_limit_micros").notNull(),
    rollsOver: boolean("rolls_over").notNull().default(false),
  },
  () => [check("tiers_overage_check", oneOf("overage", OVERAGE_POLICIES))],
);

/** Who pays: owns the wallet, the tier and the invoices. */
export const billingAccounts = pgTable(
  "billing_accounts",
  {
    id: id().primaryKey(),
    name: text("name").notNull(),
    tierId: id("tier_id")
      .notNull()
      .references(() => tiers.id),
    timeZone: text("time_zone").notNull().default("UTC"),
    address: jsonb("address").$type<PostalAddress>(),
    taxId: text("tax_id"),
    invoiceEmail: text("invoice_email"),
    /** The local date that billing periods are counted from; the day of the account's creation when null. */
    periodAnchor: text("period_anchor"),
    /** When the account was last on a tier that lends: what was owed before is still collected. */
    lentAt: instant("lent_at"),
    cadence: text("cadence", { enum: ["monthly", "quarterly", "yearly"] })
      .notNull()
      .default("monthly"),
    /** The product's own, for its self-test: what it spends is no revenue. */
    isInternal: boolean("is_internal").notNull().default(false),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("billing_accounts_created_at_idx").on(t.createdAt, t.id)],
);

export const billingAccountAdmins = pgTable(
  "billing_account_admins",
  {
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    customerId: id("customer_id")
      .notNull()
      .references(() => customers.id),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.billingAccountId, t.customerId] }),
    index("billing_account_admins_customer_id_idx").on(t.customerId),
  ],
);

export const SUBSCRIPTION_STATUSES = ["incomplete", "active", "past_due", "ended"] as const;

/**
 * Which tier an account pays for. The row is there before Stripe is asked, its id is the key under which Stripe is asked,
 * and it is made what Stripe says that the subscription is.
 */
export const subscriptions = pgTable(
  "subscriptions",
  {
    id: id().primaryKey(),
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    status: text("status", { enum: SUBSCRIPTION_STATUSES }).notNull(),
    /** In force while it is active or past due; until then, what is being bought. */
    tierId: id("tier_id")
      .notNull()
      .references(() => tiers.id),
    /** In force from the next period on. */
    pendingTierId: id("pending_tier_id"),
    isCancelling: boolean("is_cancelling").notNull().default(false),
    /** It ended, or is about to, because nobody paid. */
    isLapsed: boolean("is_lapsed").notNull().default(false),
    /** What Stripe was asked with at the start, so that asking again is the same request. */
    stripePriceId: text("stripe_price_id").notNull(),
    cardId: text("card_id"),
    stripeSubscriptionId: text("stripe_subscription_id"),
    periodStart: instant("period_start"),
    periodEnd: instant("period_end"),
    /** What each further period costs, and how many months that is for; null until Stripe has said so. */
    priceMicros: micros("price_micros"),
    priceMonths: integer("price_months"),
    /** A change is paid for when the cardholder has answered the bank, and may come at any moment. */
    isWaiting: boolean("is_waiting").notNull().default(false),
    /** Grows with every change, and names the state that a request to Stripe starts from. */
    revision: integer("revision").notNull().default(0),
    /** How often Stripe was asked, and as of which time of these it is: an older answer is never applied over a newer one. */
    asked: integer("asked").notNull().default(0),
    answered: integer("answered").notNull().default(0),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    endedAt: instant("ended_at"),
  },
  (t) => [
    // Whatever is asked for at once: an account pays for one tier.
    uniqueIndex("subscriptions_one_live_key").on(t.billingAccountId).where(sql`ended_at is null`),
    uniqueIndex("subscriptions_stripe_subscription_id_key").on(t.stripeSubscriptionId),
    index("subscriptions_billing_account_id_idx").on(t.billingAccountId, t.createdAt),
    index("subscriptions_live_idx").on(t.updatedAt).where(sql`ended_at is null`),
    check("subscriptions_status_check", oneOf("status", SUBSCRIPTION_STATUSES)),
    check("subscriptions_ended_check", sql`(status = 'ended') = (ended_at is not null)`),
  ],
);

export const INVOICE_KINDS = ["usage", "subscription", "credit_note"] as const;
export const INVOICE_STATUSES = ["draft", "final", "paid", "void"] as const;

/**
 * Invoices and credit notes. A usage invoice is the statement of one period: its lines are the ledger's, its total is what
 * they add up to, and `due` is the part that no credit paid for. A subscription invoice mirrors one of Stripe's.
 */
export const invoices = pgTable(
  "invoices",
  {
    id: id().primaryKey(),
    billingAccountId: id("billing_account_id")
      .notNull()
      .references(() => billingAccounts.id),
    kind: text("kind", { enum: INVOICE_KINDS }).notNull(),
    status: text("status", { enum: INVOICE_STATUSES }).notNull(),
    /** Sequential and without gaps in its series; a period in which nothing happened has none. */
    number: text("number"),
    periodStart: instant("period_start").notNull(),
    periodEnd: instant("period_end").notNull(),
    timeZone: text("time_zone").notNull(),
    currency: text("currency").notNull(),
    totalMicros: micros("total_micros").notNull(),
    dueMicros: micros("due_micros").notNull(),
    seller: jsonb("seller").$type<InvoiceParty>().notNull(),
    customer: jsonb("customer").$type<InvoiceParty>().notNull(),
    /** Of a credit note: the invoice that it takes from, and why. */
    correctsId: id("corrects_id"),
    reason: text("reason"),
    stripeInvoiceId: text("stripe_invoice_id"),
    subscriptionId: id("subscription_id"),
    /** Of a subscription's invoice: the ledger's transaction that granted its included credit. */
    creditTransactionId: id("credit_transaction_id"),
    /** Refusals so far, and when to try again; null when nothing is to be tried. */
    attempts: integer("attempts").notNull().default(0),
    nextAttemptAt: instant("next_attempt_at"),
    failureCode: text("failure_code"),
    idempotencyKey: text("idempotency_key"),
    finalizedAt: instant("finalized_at"),
    paidAt: instant("paid_at"),
    voidedAt: instant("voided_at"),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    // However often and by however many a period is closed: one invoice.
    uniqueIndex("invoices_period_key").on(t.billingAccountId, t.periodStart).where(sql`kind = 'usage'`),
    uniqueIndex("invoices_number_key").on(t.number),
    uniqueIndex("invoices_stripe_invoice_id_key").on(t.stripeInvoiceId),
    uniqueIndex("invoices_idempotency_key").on(t.billingAccountId, t.idempotencyKey),
    index("invoices_billing_account_id_idx").on(t.billingAccountId, t.createdAt, t.id),
    index("invoices_due_idx").on(t.billingAccountId).where(sql`status = 'final'`),
    index("invoices_next_attempt_idx").on(t.nextAttemptAt).where(sql`next_attempt_at is not null`),
    index("invoices_corrects_id_idx").on(t.correctsId).where(sql`corrects_id is not null`),
    check("invoices_kind_check", oneOf("kind", INVOICE_KINDS)),
    check("invoices_status_check", oneOf("status", INVOICE_STATUSES)),
    check("invoices_due_check", sql`due_micros >= 0`),
  ],
);

/** Money of a subscription's invoice that went back, by a refund or a dispute, and what that took of the included credit. */
export const invoiceReturns = pgTable(
  "invoice_returns",
  {
    /** Stripe's id of the refund or the dispute. */
    id: text("id").primaryKey(),
    invoiceId: id("invoice_id")
      .notNull()
      .references(() => invoices.id),
    amountCents: count("amount_cents").notNull(),
    status: text("status").notNull(),
    isGone: boolean("is_gone").notNull(),
    isFinal: boolean("is_final").notNull(),
    /** All rows of an invoice together are what was taken of its credit. */
    takenMicros: micros("taken_micros").notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [index("invoice_returns_invoice_id_idx").on(t.invoiceId)],
);

export const invoiceLines = pgTable(
  "invoice_lines",
  {
    invoiceId: id("invoice_id")
      .notNull()
      .references(() => invoices.id),
    line: integer("line").notNull(),
    description: text("description").notNull(),
    projectId: id("project_id"),
    endpointId: id("endpoint_id"),
    quantity: int8("quantity").notNull(),
    unitPriceMicros: micros("unit_price_micros").notNull(),
    amountMicros: micros("amount_micros").notNull(),
  },
  (t) => [primaryKey({ columns: [t.invoiceId, t.line] })],
);

/** Which line of the ledger is on which invoice: each on one at most. */
export const invoiceEntries = pgTable(
  "invoice_entries",
  {
    transactionId: id("transaction_id").notNull(),
    line: integer("line").notNull(),
    invoiceId: id("invoice_id")
      .notNull()
      .references(() => invoices.id),
  },
  (t) => [primaryKey({ columns: [t.transactionId, t.line] }), index("invoice_entries_invoice_id_idx").on(t.invoiceId)],
);

/** The last number of each series. A row of it is hot: a number is taken in the transaction that uses it, so none is lost. */
export const invoiceSeries = pgTable("invoice_series", {
  series: text("series").primaryKey(),
  lastNumber: int8("last_number").notNull(),
});
