import type { BillingAccount, updateAccountInput } from "@tollgate/contracts";
import { billingAccountUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { badRequest, isTimeZone } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { readAccount } from "./readAccount.ts";

/**
 * Changes who invoices are made out to, and when periods begin. Invoices that are made keep what they say, and the period
 * under way ends where the new midnights and the new cadence have their next boundary.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND; BAD_REQUEST for a time zone that is not known
 */
export async function updateAccount({
  ctx,
  input,
}: Verb<z.output<typeof updateAccountInput>>): Promise<BillingAccount> {
  const { billingAccountId, ...given } = input;
  await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
  if (given.timeZone !== undefined && !isTimeZone(given.timeZone)) {
    throw badRequest("This time zone is not known", {
      issues: [{ path: "timeZone", message: "Must be an IANA time zone, for example Europe/Berlin" }],
    });
  }
  const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return withTransaction(
    ctx,
    async (ctx) => {
      const before = await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
      if (Object.keys(changes).length > 0) {
        const { billingAccounts } = schema;
        await ctx.db
          .update(billingAccounts)
          .set({ ...changes, updatedAt: ctx.clock.now() })
          .where(eq(billingAccounts.id, billingAccountId));
        const known = Object.fromEntries(Object.keys(changes).map((key) => [key, before[key as keyof typeof before]]));
        await writeAudit(ctx, {
          action: "billing.updateAccount",
          subject: billingAccountId,
          before: known,
          after: changes,
        });
        await appendEvent(ctx, billingAccountUpdated, { billingAccountId, fields: Object.keys(changes) });
      }
      return readAccount({ ctx, input: { billingAccountId } });
    },
    { isIdempotent: true },
  );
}
