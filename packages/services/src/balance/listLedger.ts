import type { billingAccountPageInput, LedgerEntry, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { isAdmin, isService } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { and, asc, desc, eq, gt, lt, or } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { decodeCursor, encodeCursor } from "../paging.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { walletAccount } from "./internal.ts";

/**
 * The statement: every line of the wallet, newest transaction first and its lines in order. A movement that an operator
 * made invisible is there without its reference, so that the lines still add up to the balance.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND; BAD_REQUEST for a cursor that is not ours
 */
export async function listLedger({
  ctx,
  input,
}: Verb<z.output<typeof billingAccountPageInput>>): Promise<Page<LedgerEntry>> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orMember: true, orAdmin: true });
  const { ledgerEntries: entries, ledgerTransactions: transactions } = schema;
  const seesAll = isAdmin(ctx.actor) || isService(ctx.actor);
  const rows = await ctx.db
    .select({
      transactionId: entries.transactionId,
      line: entries.line,
      kind: transactions.kind,
      amountMicros: entries.amountMicros,
      reference: transactions.reference,
      isVisible: transactions.isVisible,
      detail: entries.detail,
      createdAt: entries.createdAt,
    })
    .from(entries)
    .innerJoin(transactions, eq(transactions.id, entries.transactionId))
    .where(and(eq(entries.account, walletAccount(input.billingAccountId)), afterLine(input.cursor)))
    .orderBy(desc(entries.createdAt), desc(entries.transactionId), asc(entries.line))
    .limit(input.limit + 1);
  const shown = rows.slice(0, input.limit);
  const last = shown.at(-1);
  return {
    items: shown.map(({ isVisible, reference, ...row }) => ({
      ...row,
      reference: isVisible || seesAll ? reference : null,
    })),
    nextCursor:
      rows.length > input.limit && last !== undefined
        ? encodeCursor({ createdAt: last.createdAt, id: `${last.transactionId}_${last.line}` })
        : null,
  };
}

/** A line's place in the statement is its time, its transaction and its number there. */
function afterLine(cursor: string | undefined): SQL | undefined {
  if (cursor === undefined) return undefined;
  const { ledgerEntries: entries } = schema;
  const { createdAt, id } = decodeCursor(cursor);
  const at = id.lastIndexOf("_");
  const transactionId = id.slice(0, at);
  const line = Number(id.slice(at + 1));
  return or(
    lt(entries.createdAt, createdAt),
    and(eq(entries.createdAt, createdAt), lt(entries.transactionId, transactionId)),
    and(
      eq(entries.createdAt, createdAt),
      eq(entries.transactionId, transactionId),
      gt(entries.line, Number.isSafeInteger(line) ? line : 0),
    ),
  );
}
