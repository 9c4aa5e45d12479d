import type { BillingAccount, readAccountInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { asc, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { toTier } from "./internal.ts";
import { findLive, toSubscription } from "./subscriptions/internal.ts";

/** A billing account with its tier and admins, for its admins and operators. @throws TollgateError NOT_FOUND */
export async function readAccount({ ctx, input }: Verb<z.output<typeof readAccountInput>>): Promise<BillingAccount> {
  const account = await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  const { billingAccountAdmins, customers, tiers } = schema;
  const [[tier], live, admins] = await Promise.all([
    ctx.db.select().from(tiers).where(eq(tiers.id, account.tierId)),
    findLive(ctx, account.id),
    ctx.db
      .select({ customerId: customers.id, email: customers.email, name: customers.name })
      .from(billingAccountAdmins)
      .innerJoin(customers, eq(customers.id, billingAccountAdmins.customerId))
      .where(eq(billingAccountAdmins.billingAccountId, account.id))
      .orderBy(asc(billingAccountAdmins.createdAt), asc(customers.id)),
  ]);
  if (tier === undefined) throw new Error(`The tier ${account.tierId} is not there`);
  return {
    id: account.id,
    name: account.name,
    timeZone: account.timeZone,
    cadence: account.cadence,
    address: account.address,
    taxId: account.taxId,
    invoiceEmail: account.invoiceEmail,
    tier: toTier(tier),
    subscription: live === undefined ? null : toSubscription(live),
    admins,
    createdAt: account.createdAt,
  };
}
