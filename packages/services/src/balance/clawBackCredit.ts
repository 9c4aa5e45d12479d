import type { Adjustment, GrantSource } from "@tollgate/contracts";
import { balanceDebited } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { minMicros, negateMicros, subtractMicros, sumMicros, toMicros } from "@tollgate/kernel";
import { and, eq, gt, ne, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { bringUpToDate } from "./expireDueGrants.ts";
import type { Consumption } from "./grantOrder.ts";
import { consumeGrants } from "./grantOrder.ts";
import {
  claimTransaction,
  fundingAccount,
  insertEntries,
  lockWallet,
  moveWallet,
  toAdjustment,
  walletAccount,
  writeConsumptions,
} from "./internal.ts";

export interface ClawBack {
  readonly billingAccountId: string;
  /** The ledger's transaction that gave the credit. */
  readonly creditTransactionId: string;
  /** More than zero, and no more than that transaction gave. */
  readonly micros: Micros;
  /** What kind of credit it was; `paid` when not said. */
  readonly source?: GrantSource;
  /** Unique for the account: the same key again takes nothing again. */
  readonly idempotencyKey: string;
  readonly reference: string;
}

/**
 * Takes back credit whose money has gone back: first what is left of the very grant that the money made, then other
 * credit, and what was spent of it already becomes a debt, which later credit makes good before anything else. Unlike a
 * debit it does not ask whether there is enough. It asks nothing of the caller's rights; the verb that calls it does.
 * @throws TollgateError NOT_FOUND for an unknown account; CONFLICT `idempotency_key_reused`
 */
export async function clawBackCredit(ctx: ServiceContext, clawBack: ClawBack): Promise<Adjustment> {
  return withTransaction(ctx, (ctx) => clawBackInTransaction(ctx, clawBack), { isIdempotent: true });
}

async function clawBackInTransaction(ctx: ServiceContext, clawBack: ClawBack): Promise<Adjustment> {
  const { billingAccountId, creditTransactionId, micros } = clawBack;
  const { row: transaction, isNew } = await claimTransaction(ctx, {
    billingAccountId,
    kind: "refund",
    idempotencyKey: clawBack.idempotencyKey,
    request: { creditTransactionId, micros: micros.toString() },
    reference: clawBack.reference,
    visible: true,
  });
  if (!isNew) return toAdjustment(ctx, transaction);
  const wallet = await bringUpToDate(ctx, await lockWallet(ctx, billingAccountId));
  await writeConsumptions(ctx, transaction.id, await consumeByProvenance(ctx, clawBack));
  await moveWallet(ctx, wallet, { postedMicros: negateMicros(micros) });
  await insertEntries(ctx, transaction.id, [
    { account: walletAccount(billingAccountId), amountMicros: negateMicros(micros) },
    { account: fundingAccount(clawBack.source ?? "paid"), amountMicros: micros },
  ]);
  await writeAudit(ctx, {
    action: "balance.clawBack",
    subject: billingAccountId,
    after: { transactionId: transaction.id, creditTransactionId, micros, reference: clawBack.reference },
  });
  await appendEvent(ctx, balanceDebited, {
    billingAccountId,
    transactionId: transaction.id,
    kind: "refund",
    micros: micros.toString(),
  });
  return toAdjustment(ctx, transaction);
}

async function consumeByProvenance(ctx: ServiceContext, clawBack: ClawBack): Promise<Consumption[]> {
  const { grants } = schema;
  const hasRest = and(eq(grants.billingAccountId, clawBack.billingAccountId), gt(grants.remainingMicros, sql`0`));
  const own = await ctx.db
    .select()
    .from(grants)
    .where(and(hasRest, eq(grants.transactionId, clawBack.creditTransactionId)));
  const others = await ctx.db
    .select()
    .from(grants)
    .where(and(hasRest, ne(grants.transactionId, clawBack.creditTransactionId)));
  const ownMicros = minMicros(clawBack.micros, sumMicros(own.map((grant) => grant.remainingMicros)));
  const rest = subtractMicros(clawBack.micros, ownMicros);
  const otherMicros = minMicros(rest, sumMicros(others.map((grant) => grant.remainingMicros)));
  return [...take(own, ownMicros), ...take(others, otherMicros)];
}

const take = (grants: Parameters<typeof consumeGrants>[0], micros: Micros): readonly Consumption[] =>
  micros > 0n ? consumeGrants(grants, toMicros(micros)) : [];
