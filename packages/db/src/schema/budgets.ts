import { sql } from "drizzle-orm";
import { check, index, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { count, createdAt, id, instant, int8, oneOf, updatedAt } from "./columns.ts";

export const BUDGET_KINDS = ["wallet", "tier_free", "endpoint_free", "project_cap", "key_cap", "test_calls"] as const;

/**
 * One mechanism for money, quotas and caps: a limit, what is used of it, and what is held by gateways for calls in flight.
 * A wallet's limit is what the ledger has posted and its used is what has accrued since the last settlement, both in
 * micros; a quota counts calls; a cap counts micros. Available = limit + overdraft − used − held.
 */
export const budgets = pgTable(
  "budgets",
  {
    id: id().primaryKey(),
    kind: text("kind", { enum: BUDGET_KINDS }).notNull(),
    billingAccountId: id("billing_account_id").notNull(),
    limitAmount: int8("limit_amount").notNull(),
    overdraft: int8("overdraft").notNull().default(sql`0`),
    used: int8("used").notNull().default(sql`0`),
    held: int8("held").notNull().default(sql`0`),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (t) => [
    index("budgets_billing_account_id_idx").on(t.billingAccountId),
    check("budgets_kind_check", oneOf("kind", BUDGET_KINDS)),
    check("budgets_held_check", sql`held >= 0`),
  ],
);

/** A run of a gateway, as far as budgets are concerned: it may spend what it leased until `expires_at`, which it renews. */
export const budgetHolders = pgTable(
  "budget_holders",
  {
    id: id().primaryKey(),
    createdAt: createdAt(),
    expiresAt: instant("expires_at").notNull(),
    /** From here on nothing is leased to it, and what it has goes back. */
    closedAt: instant("closed_at"),
    /** When the last of it had gone back: who is closed and not returned has leases that somebody must still give back. */
    returnedAt: instant("returned_at"),
    /** What it said of its spool when it renewed itself: calls that are not known to be folded, */
    unfolded: count("unfolded").notNull().default(0),
    /** how many are, */
    folded: count("folded").notNull().default(0),
    /**
     * and since when some have waited without any being folded. Of one that vanished they may be on a disk that nobody reads
     * any more: they wait until its run comes back, is replayed or is dismissed.
     */
    unfoldedSince: instant("unfolded_since"),
  },
  (t) => [
    index("budget_holders_open_idx").on(t.expiresAt).where(sql`closed_at is null`),
    index("budget_holders_unfolded_idx").on(t.unfoldedSince).where(sql`unfolded_since is not null`),
    index("budget_holders_closing_idx").on(t.closedAt).where(sql`closed_at is not null and returned_at is null`),
  ],
);

/**
 * What one holder has of one budget, as running totals that only grow, so that repeating a request changes nothing.
 * Outstanding = granted − settled − returned: what the holder may still spend, or has spent and not yet been folded.
 */
export const budgetLeases = pgTable(
  "budget_leases",
  {
    budgetId: id("budget_id").notNull(),
    holderId: id("holder_id").notNull(),
    granted: int8("granted").notNull(),
    settled: int8("settled").notNull(),
    returned: int8("returned").notNull(),
    updatedAt: updatedAt(),
  },
  (t) => [primaryKey({ columns: [t.budgetId, t.holderId] }), index("budget_leases_holder_id_idx").on(t.holderId)],
);
