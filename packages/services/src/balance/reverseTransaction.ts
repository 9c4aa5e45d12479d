import type { Adjustment, reverseInput } from "@tollgate/contracts";
import { balanceCredited, balanceDebited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { negateMicros, newId, notFound, sumMicros, TollgateError, toMicros } from "@tollgate/kernel";
import { and, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin, requireAdminOrService } from "../permissions.ts";
import { bringUpToDate } from "./expireDueGrants.ts";
import { GRANT_PRIORITIES } from "./grantOrder.ts";
import type { Entry, TransactionRow } from "./internal.ts";
import {
  claimTransaction,
  fundingAccount,
  insertEntries,
  lockWallet,
  moveWallet,
  REFUNDS_ACCOUNT,
  toAdjustment,
  walletAccount,
  writeConsumptions,
} from "./internal.ts";
import type { SpentPart } from "./planRefund.ts";
import { planRefund } from "./planRefund.ts";
import { takeCredit } from "./takeCredit.ts";

type Input = z.output<typeof reverseInput>;
const { grantConsumptions, grants, ledgerEntries, ledgerTransactions } = schema;

/**
 * Corrects a transaction of the ledger by another one. A credit is taken back whole, from its own grant first and never
 * more than is free. What a settlement or a debit took is given back, whole or in part, each part to the grant that it
 * came from. However often and in how many parts: never more than the transaction moved.
 * @throws TollgateError NOT_FOUND; UNPROCESSABLE `not_reversible`, `already_reversed`; PAYMENT_REQUIRED
 * `insufficient_credit`; CONFLICT `idempotency_key_reused`; UNAUTHORIZED, FORBIDDEN
 */
export async function reverseTransaction({ ctx, input }: Verb<Input>): Promise<Adjustment> {
  requireAdminOrService(ctx);
  return withTransaction(ctx, (ctx) => reverseInTransaction(ctx, input), { isIdempotent: true });
}

async function reverseInTransaction(ctx: ServiceContext, input: Input): Promise<Adjustment> {
  const { billingAccountId } = input;
  await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
  const [original] = await ctx.db
    .select()
    .from(ledgerTransactions)
    .where(
      and(eq(ledgerTransactions.id, input.transactionId), eq(ledgerTransactions.billingAccountId, billingAccountId)),
    );
  if (original === undefined) throw notFound("transaction");
  const isRefund = original.kind === "settlement" || original.kind === "debit";
  if (!isRefund && original.kind !== "credit") {
    throw new TollgateError("UNPROCESSABLE", `A transaction of the kind ${original.kind} cannot be reversed`, {
      reason: "not_reversible",
      issues: [{ path: "transactionId", message: "Must be a credit, a debit or a settlement" }],
    });
  }
  const { row, isNew } = await claimTransaction(ctx, {
    billingAccountId,
    kind: original.kind === "settlement" ? "refund" : "reversal",
    idempotencyKey: input.idempotencyKey,
    request: { transactionId: original.id, micros: input.micros?.toString() ?? null },
    reference: input.reference,
    visible: input.visible,
    correctsId: original.id,
  });
  if (!isNew) return toAdjustment(ctx, row);
  const wallet = await lockWallet(ctx, billingAccountId);
  const micros = await claimRest(ctx, original, row, input.micros);
  if (isRefund) await giveBack(ctx, original, row, micros);
  else await takeBack(ctx, original, row, micros);
  await writeAudit(ctx, {
    action: "balance.reverse",
    subject: wallet.billingAccountId,
    after: { transactionId: row.id, corrects: original.id, micros, reference: input.reference },
  });
  return toAdjustment(ctx, row);
}

/** How much of a transaction is to be corrected now, of what earlier corrections have left. The wallet is locked. */
async function claimRest(
  ctx: ServiceContext,
  original: TransactionRow,
  row: TransactionRow,
  wanted: Micros | undefined,
): Promise<Micros> {
  const moved = await ctx.db
    .select({ id: ledgerTransactions.id, amountMicros: ledgerEntries.amountMicros })
    .from(ledgerEntries)
    .innerJoin(ledgerTransactions, eq(ledgerTransactions.id, ledgerEntries.transactionId))
    .where(
      and(
        inArray(
          ledgerTransactions.id,
          ctx.db
            .select({ id: ledgerTransactions.id })
            .from(ledgerTransactions)
            .where(eq(ledgerTransactions.correctsId, original.id)),
        ),
        eq(ledgerEntries.account, walletAccount(original.billingAccountId)),
      ),
    );
  const corrected = sumMicros(moved.filter((each) => each.id !== row.id).map((each) => each.amountMicros));
  const own = await ctx.db
    .select({ amountMicros: ledgerEntries.amountMicros })
    .from(ledgerEntries)
    .where(
      and(
        eq(ledgerEntries.transactionId, original.id),
        eq(ledgerEntries.account, walletAccount(original.billingAccountId)),
      ),
    );
  const rest = sumMicros([...own.map((each) => each.amountMicros), corrected]);
  const left = rest < 0n ? negateMicros(rest) : rest;
  const micros = wanted ?? left;
  const isPartOfCredit = original.kind === "credit" && micros !== left;
  if (left === 0n || micros > left || isPartOfCredit) {
    throw new TollgateError("UNPROCESSABLE", "There is not that much of the transaction left to reverse", {
      reason: "already_reversed",
      issues: [
        { path: "micros", message: isPartOfCredit ? "A credit is reversed whole" : `At most ${left} micros are left` },
      ],
    });
  }
  return micros;
}

async function takeBack(
  ctx: ServiceContext,
  original: TransactionRow,
  row: TransactionRow,
  micros: Micros,
): Promise<void> {
  const { billingAccountId } = original;
  await takeCredit(ctx, billingAccountId, row.id, micros, { grantsOf: original.id });
  const entries = await ctx.db.select().from(ledgerEntries).where(eq(ledgerEntries.transactionId, original.id));
  await insertEntries(
    ctx,
    row.id,
    entries.map(({ account, amountMicros }): Entry => ({ account, amountMicros: negateMicros(amountMicros) })),
  );
  await appendEvent(ctx, balanceDebited, {
    billingAccountId,
    transactionId: row.id,
    kind: row.kind,
    micros: micros.toString(),
  });
}

async function giveBack(
  ctx: ServiceContext,
  original: TransactionRow,
  row: TransactionRow,
  micros: Micros,
): Promise<void> {
  const { billingAccountId } = original;
  const wallet = await bringUpToDate(ctx, await lockWallet(ctx, billingAccountId));
  const plan = planRefund({
    micros,
    postedMicros: toMicros(wallet.limitAmount),
    parts: await spentParts(ctx, original),
  });
  await moveWallet(ctx, wallet, { postedMicros: micros });
  await insertEntries(ctx, row.id, [
    { account: walletAccount(billingAccountId), amountMicros: micros },
    {
      account: original.kind === "settlement" ? REFUNDS_ACCOUNT : fundingAccount("adjustment"),
      amountMicros: negateMicros(micros),
    },
  ]);
  const credited = plan.returned.map((part) => ({ grantId: part.grantId, micros: negateMicros(part.amountMicros) }));
  const consumptions = [...plan.returned];
  if (plan.freshMicros > 0n) {
    const grantId = newId("grant");
    await ctx.db.insert(grants).values({
      id: grantId,
      billingAccountId,
      transactionId: row.id,
      source: "adjustment",
      priority: GRANT_PRIORITIES.adjustment,
      amountMicros: plan.freshMicros,
      remainingMicros: plan.freshMicros,
      reference: row.reference,
      createdAt: ctx.clock.now(),
    });
    if (plan.repaidMicros > 0n) consumptions.push({ grantId, amountMicros: plan.repaidMicros });
    credited.push({ grantId, micros: plan.freshMicros });
  }
  await writeConsumptions(ctx, row.id, consumptions);
  for (const { grantId, micros } of credited) {
    await appendEvent(ctx, balanceCredited, {
      billingAccountId,
      transactionId: row.id,
      grantId,
      source: "adjustment",
      micros: micros.toString(),
    });
  }
  // What went back to a grant that has expired since cannot be spent.
  await bringUpToDate(ctx, await lockWallet(ctx, billingAccountId));
}

/** What each grant gave to a transaction and has not got back. */
async function spentParts(ctx: ServiceContext, original: TransactionRow): Promise<SpentPart[]> {
  const rows = await ctx.db
    .select({ grant: grants, amountMicros: grantConsumptions.amountMicros, transaction: ledgerTransactions })
    .from(grantConsumptions)
    .innerJoin(grants, eq(grants.id, grantConsumptions.grantId))
    .innerJoin(ledgerTransactions, eq(ledgerTransactions.id, grantConsumptions.transactionId))
    .where(
      inArray(
        grantConsumptions.transactionId,
        ctx.db
          .select({ id: ledgerTransactions.id })
          .from(ledgerTransactions)
          .where(eq(ledgerTransactions.correctsId, original.id))
          .union(
            ctx.db
              .select({ id: ledgerTransactions.id })
              .from(ledgerTransactions)
              .where(eq(ledgerTransactions.id, original.id)),
          ),
      ),
    );
  const given = rows.filter((row) => row.transaction.id === original.id);
  return given.map(({ grant, amountMicros }) => ({
    id: grant.id,
    priority: grant.priority,
    createdAt: grant.createdAt,
    expiresAt: grant.expiresAt,
    // Corrections that gave back are negative; one that made a debt good is of a grant of its own.
    amountMicros: sumMicros([
      amountMicros,
      ...rows
        .filter((row) => row.transaction.id !== original.id && row.grant.id === grant.id)
        .map((row) => row.amountMicros),
    ]),
  }));
}
