import { createHash } from "node:crypto";
import type { Adjustment, GrantSource, TransactionKind } from "@tollgate/contracts";
import type { LedgerLineDetail } from "@tollgate/db";
import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { actorName, conflict, newId, notFound, sumMicros, TollgateError, ZERO_MICROS } from "@tollgate/kernel";
import { and, asc, eq, inArray, sql } from "drizzle-orm";
import { walletBudgetId } from "../budgets/budgetIds.ts";
import type { ServiceContext } from "../context.ts";
import type { Consumption } from "./grantOrder.ts";

/** What every movement of money is made of. Nothing here checks who is asking, and all of it runs inside a transaction. */
const { billingAccounts, budgets, grantConsumptions, grants, ledgerEntries, ledgerTransactions, payments, tiers } =
  schema;

export type TransactionRow = typeof ledgerTransactions.$inferSelect;
export type WalletRow = typeof budgets.$inferSelect;
export type GrantRow = typeof grants.$inferSelect;

export const HOUR_MS = 3_600_000;
/** A wallet holds at most this much, so that no sum of a few wallets leaves the 64-bit range. */
export const WALLET_MICROS_MAX = 10n ** 18n;

export const walletAccount = (billingAccountId: string): string => `wallet:${billingAccountId}`;
/** Where credit comes from and where taken-back credit goes. */
export const fundingAccount = (source: GrantSource): string => `funding:${source}`;
export const expiredAccount = (source: GrantSource): string => `expired:${source}`;
export const REVENUE_ACCOUNT = "revenue:usage";
/** Usage that was given back; apart from revenue, which stays what usage says. */
export const REFUNDS_ACCOUNT = "refunds:usage";

export interface TransactionRequest {
  readonly billingAccountId: string;
  readonly kind: TransactionKind;
  readonly idempotencyKey: string;
  /** What the same key must mean again. */
  readonly request: Record<string, string | boolean | null>;
  readonly reference: string;
  readonly visible: boolean;
  /** The transaction that this one gives back or takes back. */
  readonly correctsId?: string;
}

/**
 * Writes the head of a ledger transaction, or finds the one that the same request made before.
 * @throws TollgateError CONFLICT `idempotency_key_reused` when the key was used for another request
 */
export async function claimTransaction(
  ctx: ServiceContext,
  request: TransactionRequest,
): Promise<{ readonly row: TransactionRow; readonly isNew: boolean }> {
  const requestHash = hashRequest(request);
  const [inserted] = await ctx.db
    .insert(ledgerTransactions)
    .values({
      id: newId("transaction"),
      billingAccountId: request.billingAccountId,
      kind: request.kind,
      idempotencyKey: request.idempotencyKey,
      requestHash,
      reference: request.reference,
      isVisible: request.visible,
      correctsId: request.correctsId ?? null,
      actor: actorName(ctx.actor),
      createdAt: ctx.clock.now(),
    })
    .onConflictDoNothing({ target: [ledgerTransactions.billingAccountId, ledgerTransactions.idempotencyKey] })
    .returning();
  if (inserted !== undefined) return { row: inserted, isNew: true };
  const [found] = await ctx.db
    .select()
    .from(ledgerTransactions)
    .where(
      and(
        eq(ledgerTransactions.billingAccountId, request.billingAccountId),
        eq(ledgerTransactions.idempotencyKey, request.idempotencyKey),
      ),
    );
  if (found === undefined) throw new Error("A transaction that stood in the way cannot be found");
  if (found.requestHash !== requestHash) {
    throw conflict("This idempotency key was used for another request", {
      reason: "idempotency_key_reused",
      issues: [{ path: "idempotencyKey", message: "Was used for another request" }],
    });
  }
  return { row: found, isNew: false };
}

/** SHA-256 over the request with its fields in a fixed order. */
function hashRequest(request: TransactionRequest): string {
  const fields = { ...request.request, kind: request.kind, reference: request.reference, visible: request.visible };
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

export interface Entry {
  readonly account: string;
  readonly amountMicros: Micros;
  readonly detail?: LedgerLineDetail;
}

/** Writes the lines of a transaction. @throws Error when they do not add up to zero: then the caller is wrong. */
export async function insertEntries(
  ctx: ServiceContext,
  transactionId: string,
  entries: readonly Entry[],
): Promise<void> {
  if (sumMicros(entries.map((entry) => entry.amountMicros)) !== ZERO_MICROS) {
    throw new Error(`The entries of ${transactionId} do not sum to zero`);
  }
  const createdAt = ctx.clock.now();
  await ctx.db.insert(ledgerEntries).values(
    entries.map((entry, line) => ({
      transactionId,
      line,
      account: entry.account,
      amountMicros: entry.amountMicros,
      detail: entry.detail ?? null,
      createdAt,
    })),
  );
}

/**
 * The wallet's row, locked until the transaction ends; made when the account has none yet.
 * @throws TollgateError NOT_FOUND for a billing account that is not there
 */
export async function lockWallet(ctx: ServiceContext, billingAccountId: string): Promise<WalletRow> {
  const id = walletBudgetId(billingAccountId);
  const [found] = await ctx.db.select().from(budgets).where(eq(budgets.id, id)).for("update");
  if (found !== undefined) return found;
  const [account] = await ctx.db
    .select({ overage: tiers.overage, creditLimitMicros: tiers.creditLimitMicros })
    .from(billingAccounts)
    .innerJoin(tiers, eq(tiers.id, billingAccounts.tierId))
    .where(eq(billingAccounts.id, billingAccountId));
  if (account === undefined) throw notFound("billing account");
  const now = ctx.clock.now();
  await ctx.db
    .insert(budgets)
    .values({
      id,
      kind: "wallet",
      billingAccountId,
      limitAmount: 0n,
      overdraft: account.overage === "invoice" ? account.creditLimitMicros : 0n,
      createdAt: now,
      updatedAt: now,
    })
    .onConflictDoNothing({ target: budgets.id });
  const [made] = await ctx.db.select().from(budgets).where(eq(budgets.id, id)).for("update");
  if (made === undefined) throw new Error(`The wallet of ${billingAccountId} was not made`);
  return made;
}

/**
 * The rows of many wallets, locked in the order of their ids, which is everybody's order.
 * @throws TollgateError NOT_FOUND when one of the billing accounts is not there
 */
export async function lockWallets(ctx: ServiceContext, billingAccountIds: readonly string[]): Promise<WalletRow[]> {
  const found = await ctx.db
    .select()
    .from(budgets)
    .where(inArray(budgets.id, billingAccountIds.map(walletBudgetId)))
    .orderBy(asc(budgets.id))
    .for("update");
  const known = new Set(found.map((wallet) => wallet.billingAccountId));
  const missing = billingAccountIds.filter((id) => !known.has(id)).sort();
  for (const id of missing) found.push(await lockWallet(ctx, id));
  return found;
}

interface WalletChange {
  readonly postedMicros: Micros;
  readonly usedMicros?: Micros;
}

/**
 * Moves what is posted on a wallet that is locked, and what is used of it.
 * @throws TollgateError UNPROCESSABLE `balance_too_large`
 */
export async function moveWallet(ctx: ServiceContext, wallet: WalletRow, change: WalletChange): Promise<void> {
  await moveWallets(ctx, [wallet], [{ ...change, billingAccountId: wallet.billingAccountId }]);
}

/** The same for some of many wallets. @throws TollgateError as {@link moveWallet} */
export async function moveWallets(
  ctx: ServiceContext,
  wallets: readonly WalletRow[],
  changes: readonly (WalletChange & { readonly billingAccountId: string })[],
): Promise<void> {
  const posted = new Map(wallets.map((wallet) => [wallet.billingAccountId, wallet.limitAmount]));
  for (const { billingAccountId, postedMicros } of changes) {
    if ((posted.get(billingAccountId) ?? 0n) + postedMicros <= WALLET_MICROS_MAX) continue;
    throw new TollgateError("UNPROCESSABLE", "The balance would be larger than a wallet can hold", {
      reason: "balance_too_large",
    });
  }
  await ctx.db.execute(sql`
    update budgets set limit_amount = budgets.limit_amount + change.posted, used = budgets.used + change.used,
      updated_at = ${ctx.clock.now().toISOString()}::timestamptz
    from unnest(${sql.param(changes.map(({ billingAccountId }) => walletBudgetId(billingAccountId)))}::text[],
                ${sql.param(changes.map(({ postedMicros }) => postedMicros.toString()))}::int8[],
                ${sql.param(changes.map(({ usedMicros = 0n }) => usedMicros.toString()))}::int8[])
      as change (id, posted, used)
    where budgets.id = change.id`);
}

/** Takes from grants what a transaction consumed; a negative amount gives back. */
export async function writeConsumptions(
  ctx: ServiceContext,
  transactionId: string,
  consumptions: readonly Consumption[],
): Promise<void> {
  if (consumptions.length === 0) return;
  const createdAt = ctx.clock.now();
  await ctx.db
    .insert(grantConsumptions)
    .values(consumptions.map((consumption) => ({ ...consumption, transactionId, createdAt })));
  const taken = sql.join(
    consumptions.map(({ grantId, amountMicros }) => sql`(${grantId}::text, ${amountMicros.toString()}::int8)`),
    sql`, `,
  );
  await ctx.db.execute(sql`
    update grants set remaining_micros = grants.remaining_micros - taken.amount
    from (values ${taken}) as taken (id, amount) where grants.id = taken.id`);
}

/** Transactions as listed among adjustments: the amount is what each moved on this account's wallet. */
export async function toAdjustments(
  ctx: ServiceContext,
  transactions: readonly TransactionRow[],
  billingAccountId: string,
): Promise<Adjustment[]> {
  if (transactions.length === 0) return [];
  const ids = transactions.map((transaction) => transaction.id);
  const entries = await ctx.db
    .select({ transactionId: ledgerEntries.transactionId, amountMicros: ledgerEntries.amountMicros })
    .from(ledgerEntries)
    .where(and(inArray(ledgerEntries.transactionId, ids), eq(ledgerEntries.account, walletAccount(billingAccountId))));
  const made = await ctx.db
    .select({ transactionId: grants.transactionId, id: grants.id })
    .from(grants)
    .where(and(eq(grants.billingAccountId, billingAccountId), inArray(grants.transactionId, ids)))
    .orderBy(asc(grants.id));
  const paid = await ctx.db
    .select({ transactionId: payments.creditTransactionId, receiptUrl: payments.receiptUrl })
    .from(payments)
    .where(and(eq(payments.billingAccountId, billingAccountId), inArray(payments.creditTransactionId, ids)));
  return transactions.map((transaction) => ({
    id: transaction.id,
    billingAccountId,
    kind: transaction.kind,
    amountMicros: sumMicros(
      entries.filter((entry) => entry.transactionId === transaction.id).map((entry) => entry.amountMicros),
    ),
    reference: transaction.reference,
    visible: transaction.isVisible,
    grantId: made.find((grant) => grant.transactionId === transaction.id)?.id ?? null,
    receiptUrl: paid.find((payment) => payment.transactionId === transaction.id)?.receiptUrl ?? null,
    createdAt: transaction.createdAt,
  }));
}

export async function toAdjustment(ctx: ServiceContext, transaction: TransactionRow): Promise<Adjustment> {
  const [adjustment] = await toAdjustments(ctx, [transaction], transaction.billingAccountId);
  if (adjustment === undefined) throw new Error(`The transaction ${transaction.id} has no adjustment`);
  return adjustment;
}
