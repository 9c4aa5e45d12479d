import type { addAccountAdminInput, BillingAccount, removeAccountAdminInput } from "@tollgate/contracts";
import { billingAdminsChanged } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, isAdmin, isService, notFound } from "@tollgate/kernel";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAccountAdmin } from "../permissions.ts";
import { readAccount } from "./readAccount.ts";

const { billingAccountAdmins, billingAccounts, customers } = schema;

/**
 * Makes a person who has a verified login here an admin of the billing account. Again it changes nothing.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND
 */
export async function addAccountAdmin({
  ctx,
  input,
}: Verb<z.output<typeof addAccountAdminInput>>): Promise<BillingAccount> {
  const { billingAccountId, email } = input;
  await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
  return withTransaction(
    ctx,
    async (ctx) => {
      const [person] = await ctx.db
        .select({ id: customers.id })
        .from(customers)
        .where(and(eq(customers.email, email), eq(customers.status, "verified"), isNull(customers.deletedAt)));
      if (person === undefined) throw notFound("customer");
      const [added] = await ctx.db
        .insert(billingAccountAdmins)
        .values({ billingAccountId, customerId: person.id, createdAt: ctx.clock.now() })
        .onConflictDoNothing()
        .returning();
      if (added !== undefined) await tell(ctx, billingAccountId, person.id, true);
      return readAccount({ ctx, input: { billingAccountId } });
    },
    { isIdempotent: true },
  );
}

/**
 * Takes an admin's rights to a billing account away, never the last one's. The account's row is locked, so that two admins
 * who remove each other at once do not leave it without any.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND; CONFLICT `last_admin`
 */
export async function removeAccountAdmin({
  ctx,
  input,
}: Verb<z.output<typeof removeAccountAdminInput>>): Promise<{ readonly ok: true }> {
  const { billingAccountId, customerId } = input;
  await requireAccountAdmin(ctx, billingAccountId, { orAdmin: true });
  return withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db.select().from(billingAccounts).where(eq(billingAccounts.id, billingAccountId)).for("update");
      const admins = await ctx.db
        .select()
        .from(billingAccountAdmins)
        .where(eq(billingAccountAdmins.billingAccountId, billingAccountId));
      // Asked again under the lock: whoever was removed in the meantime removes nobody any more.
      const { actor } = ctx;
      const isStill = actor.kind === "customer" && admins.some((admin) => admin.customerId === actor.customerId);
      if (!isStill && !isAdmin(actor) && !isService(actor)) throw notFound("billing account");
      if (!admins.some((admin) => admin.customerId === customerId)) throw notFound("customer");
      if (admins.length === 1) {
        throw conflict("A billing account needs an admin: add another one first", { reason: "last_admin" });
      }
      await ctx.db
        .delete(billingAccountAdmins)
        .where(
          and(
            eq(billingAccountAdmins.billingAccountId, billingAccountId),
            eq(billingAccountAdmins.customerId, customerId),
          ),
        );
      await tell(ctx, billingAccountId, customerId, false);
      return { ok: true } as const;
    },
    { isIdempotent: true },
  );
}

async function tell(ctx: ServiceContext, billingAccountId: string, customerId: string, isNow: boolean): Promise<void> {
  await writeAudit(ctx, {
    action: isNow ? "billing.addAdmin" : "billing.removeAdmin",
    subject: billingAccountId,
    after: { customerId },
  });
  await appendEvent(ctx, billingAdminsChanged, { billingAccountId, customerId, isAdmin: isNow });
}
