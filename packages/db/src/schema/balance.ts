import { sql } from "drizzle-orm";
import { boolean, check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from "drizzle-orm/pg-core";
import { createdAt, id, instant, micros, oneOf, updatedAt } from "./columns.ts";

export const TRANSACTION_KINDS = ["credit", "debit", "settlement", "transfer", "expiry", "refund", "reversal"] as const;
export const GRANT_SOURCES = ["paid", "promo", "subscription", "adjustment"] as const;

/** What a ledger line is about, as a statement shows it. */
export interface LedgerLineDetail {
  readonly hour: string;
  readonly projectId: string;
  readonly endpointId: string;
  readonly unitPriceMicros: string;
  readonly calls: number;
  readonly units: string;
}

/** One movement of money. Append-only: a mistake is corrected by a reversal. */
export const ledgerTransactions = pgTable(
  "ledger_transactions",
  {
    id: id().primaryKey(),
    billingAccountId: id("billing_account_id").notNull(),
    kind: text("kind", { enum: TRANSACTION_KINDS }).notNull(),
    idempotencyKey: text("idempotency_key").notNull(),
    /** SHA-256 of the request, so that the same key with another body is seen. */
    requestHash: text("request_hash").notNull(),
    reference: text("reference").notNull(),
    isVisible: boolean("is_visible").notNull(),
    actor: text("actor").notNull(),
    /** The transaction that this one gives back or takes back, whole or in part. */
    correctsId: id("corrects_id"),
    createdAt: createdAt(),
  },
  (t) => [
    index("ledger_transactions_corrects_id_idx").on(t.correctsId).where(sql`corrects_id is not null`),
    // The key belongs to the account: two tenants may use the same one.
    uniqueIndex("ledger_transactions_idempotency_key").on(t.billingAccountId, t.idempotencyKey),
    index("ledger_transactions_account_idx").on(t.billingAccountId, t.createdAt, t.id),
    check("ledger_transactions_kind_check", oneOf("kind", TRANSACTION_KINDS)),
  ],
);

/**
 * The lines of a transaction, summing to zero. `wallet:<billing account>` is what the customer has; `revenue:usage`,
 * `funding:<source>` and the like are system accounts, which keep no running balance so that no row is hot.
 */
export const ledgerEntries = pgTable(
  "ledger_entries",
  {
    transactionId: id("transaction_id")
      .notNull()
      .references(() => ledgerTransactions.id),
    line: integer("line").notNull(),
    account: text("account").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    detail: jsonb("detail").$type<LedgerLineDetail>(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.transactionId, t.line] }),
    index("ledger_entries_account_idx").on(t.account, t.createdAt, t.transactionId, t.line),
  ],
);

/** An amount of credit with a source, a priority and maybe an expiry. The remaining amounts add up to the posted balance. */
export const grants = pgTable(
  "grants",
  {
    id: id().primaryKey(),
    billingAccountId: id("billing_account_id").notNull(),
    transactionId: id("transaction_id")
      .notNull()
      .references(() => ledgerTransactions.id),
    source: text("source", { enum: GRANT_SOURCES }).notNull(),
    priority: integer("priority").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    remainingMicros: micros("remaining_micros").notNull(),
    reference: text("reference").notNull(),
    createdAt: createdAt(),
    expiresAt: instant("expires_at"),
  },
  (t) => [
    index("grants_billing_account_id_idx").on(t.billingAccountId, t.createdAt),
    index("grants_spendable_idx").on(t.billingAccountId).where(sql`remaining_micros > 0`),
    check("grants_source_check", oneOf("source", GRANT_SOURCES)),
    check("grants_remaining_check", sql`remaining_micros >= 0 and remaining_micros <= amount_micros`),
  ],
);

/** Which transaction took how much from which grant: a refund puts each part back where it came from. */
export const grantConsumptions = pgTable(
  "grant_consumptions",
  {
    transactionId: id("transaction_id")
      .notNull()
      .references(() => ledgerTransactions.id),
    grantId: id("grant_id")
      .notNull()
      .references(() => grants.id),
    amountMicros: micros("amount_micros").notNull(),
    createdAt: createdAt(),
  },
  (t) => [
    primaryKey({ columns: [t.transactionId, t.grantId] }),
    index("grant_consumptions_grant_id_idx").on(t.grantId),
  ],
);

/**
 * What was last announced of how full a wallet is, and from where on its people want to hear of it. A change of these
 * flags is what fires, so a crossing is announced once however many look at the same time.
 */
export const balanceLevels = pgTable("balance_levels", {
  billingAccountId: id("billing_account_id").primaryKey(),
  /** Null when nobody asked: then the deployment's default is it. Zero when they want to hear nothing. */
  thresholdMicros: micros("threshold_micros"),
  isLow: boolean("is_low").notNull().default(false),
  isExhausted: boolean("is_exhausted").notNull().default(false),
  updatedAt: updatedAt(),
});
