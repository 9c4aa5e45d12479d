import type { Adjustment, billingAccountPageInput, Page, TransactionKind } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { isAdmin, isService } from "@tollgate/kernel";
import { and, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import type { Position } from "../paging.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { toAdjustments } from "./internal.ts";

/** Movements that are not usage. */
const ADJUSTMENT_KINDS: TransactionKind[] = ["credit", "debit", "transfer", "expiry", "refund", "reversal"];

/**
 * Credits, debits, transfers and expiries of an account, newest first. Customers see the visible ones, operators all.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function listAdjustments({
  ctx,
  input,
}: Verb<z.output<typeof billingAccountPageInput>>): Promise<Page<Adjustment>> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orMember: true, orAdmin: true });
  const { grants, ledgerTransactions } = schema;
  const isShown = and(
    inArray(ledgerTransactions.kind, ADJUSTMENT_KINDS),
    isAdmin(ctx.actor) || isService(ctx.actor) ? undefined : eq(ledgerTransactions.isVisible, true),
    afterCursor(ledgerTransactions.createdAt, ledgerTransactions.id, input.cursor),
  );
  const own = await ctx.db
    .select()
    .from(ledgerTransactions)
    .where(and(eq(ledgerTransactions.billingAccountId, input.billingAccountId), isShown))
    .orderBy(...newestFirst(ledgerTransactions.createdAt, ledgerTransactions.id))
    .limit(input.limit + 1);
  // A transfer belongs to the account that gave; the account that received it has grants of it.
  const received = await ctx.db
    .select()
    .from(ledgerTransactions)
    .where(
      and(
        inArray(
          ledgerTransactions.id,
          ctx.db
            .select({ id: grants.transactionId })
            .from(grants)
            .where(eq(grants.billingAccountId, input.billingAccountId)),
        ),
        eq(ledgerTransactions.kind, "transfer"),
        isShown,
      ),
    )
    .orderBy(...newestFirst(ledgerTransactions.createdAt, ledgerTransactions.id))
    .limit(input.limit + 1);
  const page = toPage([...own, ...received].sort(compareNewestFirst), input.limit, (row) => row);
  return { ...page, items: await toAdjustments(ctx, page.items, input.billingAccountId) };
}

function compareNewestFirst(a: Position, b: Position): number {
  return b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1);
}
