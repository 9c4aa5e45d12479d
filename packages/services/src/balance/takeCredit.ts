import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { negateMicros, subtractMicros, sumMicros, TollgateError, toMicros } from "@tollgate/kernel";
import { and, eq, gt, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { bringUpToDate } from "./expireDueGrants.ts";
import { consumeGrants } from "./grantOrder.ts";
import type { GrantRow } from "./internal.ts";
import { lockWallet, moveWallet, writeConsumptions } from "./internal.ts";

export interface TakenCredit {
  readonly grant: GrantRow;
  readonly amountMicros: Micros;
}

/**
 * Takes credit out of a wallet for a transaction, from its grants in their order. Only what nobody else has a claim to
 * can be taken: calls that wait for settlement and calls in flight keep theirs, and a credit limit is for calls alone.
 * @throws TollgateError PAYMENT_REQUIRED `insufficient_credit`
 */
export async function takeCredit(
  ctx: ServiceContext,
  billingAccountId: string,
  transactionId: string,
  micros: Micros,
  /** Grants that this transaction made are taken from before all others. */
  first?: { readonly grantsOf: string },
): Promise<TakenCredit[]> {
  const wallet = await bringUpToDate(ctx, await lockWallet(ctx, billingAccountId));
  const free = wallet.limitAmount - wallet.used - wallet.held;
  if (free < micros) {
    throw new TollgateError("PAYMENT_REQUIRED", "The wallet does not have that much credit to take", {
      reason: "insufficient_credit",
      issues: [{ path: "micros", message: `At most ${free > 0n ? free : 0n} micros are free` }],
    });
  }
  const { grants } = schema;
  const rows = await ctx.db
    .select()
    .from(grants)
    .where(and(eq(grants.billingAccountId, billingAccountId), gt(grants.remainingMicros, sql`0`)));
  const byId = new Map(rows.map((row) => [row.id, row]));
  const own = consumeGrants(
    rows.filter((row) => row.transactionId === first?.grantsOf),
    micros,
  );
  const rest = subtractMicros(micros, sumMicros(own.map((each) => each.amountMicros)));
  const others = consumeGrants(
    rows.filter((row) => row.transactionId !== first?.grantsOf),
    rest,
  );
  const consumptions = [...own, ...others];
  await writeConsumptions(ctx, transactionId, consumptions);
  await moveWallet(ctx, wallet, { postedMicros: negateMicros(micros) });
  const taken = consumptions.flatMap(({ grantId, amountMicros }) => {
    const grant = byId.get(grantId);
    return grant === undefined ? [] : [{ grant, amountMicros }];
  });
  const total = taken.reduce((sum, each) => sum + each.amountMicros, 0n);
  if (toMicros(total) !== micros) throw new Error(`The grants of ${billingAccountId} do not add up to its balance`);
  return taken;
}
