import type { AutoTopUpAnswer, billingAccountIdInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../../context.ts";
import { requireAccountAdmin } from "../../permissions.ts";
import { toAutoTopUp } from "./setAutoTopUp.ts";

/** How an account tops up by itself; null if it never did. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function readAutoTopUp({
  ctx,
  input,
}: Verb<z.output<typeof billingAccountIdInput>>): Promise<AutoTopUpAnswer> {
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const { autoTopUps } = schema;
  const [row] = await ctx.db.select().from(autoTopUps).where(eq(autoTopUps.billingAccountId, input.billingAccountId));
  return { autoTopUp: row === undefined ? null : toAutoTopUp(row) };
}
