import { schema, withTransaction } from "@tollgate/db";
import { hourFloor } from "@tollgate/kernel";
import { and, eq, gt, lte, sql } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import type { WalletRow } from "./internal.ts";
import { lockWallet } from "./internal.ts";
import { settleWallets } from "./settleWallets.ts";

/**
 * Takes an account's expired credit off, if it has any, so that it cannot be spent: the sweep comes once an hour, and
 * whoever spends in between calls this first. @returns whether anything had expired
 */
export async function expireDueGrants({ ctx, input }: Verb<{ readonly billingAccountId: string }>): Promise<boolean> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      if (!(await hasDueGrant(ctx, input.billingAccountId))) return false;
      await bringUpToDate(ctx, await lockWallet(ctx, input.billingAccountId));
      return true;
    },
    { isIdempotent: true },
  );
}

/** The locked wallet with the usage of every past hour posted and nothing expired in it. */
export async function bringUpToDate(ctx: ServiceContext, wallet: WalletRow): Promise<WalletRow> {
  const before = hourFloor(ctx.clock.nowMs());
  let fresh = wallet;
  let isComplete = false;
  while (!isComplete) {
    isComplete = (await settleWallets(ctx, [fresh], before)).get(fresh.billingAccountId)?.isComplete ?? true;
    fresh = await lockWallet(ctx, wallet.billingAccountId);
  }
  return fresh;
}

async function hasDueGrant(ctx: ServiceContext, billingAccountId: string): Promise<boolean> {
  const { grants } = schema;
  const due = await ctx.db
    .select({ id: grants.id })
    .from(grants)
    .where(
      and(
        eq(grants.billingAccountId, billingAccountId),
        gt(grants.remainingMicros, sql`0`),
        lte(grants.expiresAt, ctx.clock.now()),
      ),
    )
    .limit(1);
  return due.length > 0;
}
