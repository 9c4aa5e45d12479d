import type { Customer, unbanCustomerInput } from "@tollgate/contracts";
import { customersUnbanned, keysUnblocked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq, inArray, notInArray } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { keyEventData } from "../keys/internal.ts";
import { requireAdmin } from "../permissions.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";

const { customerBanKeys, customerBans, customers, keys } = schema;

/**
 * Lifts a ban, for operators, and gives back what it took: the customer is what they were before, and the keys that the
 * ban blocked work again. Keys that were blocked or revoked for other reasons stay so, and sessions that ended are over.
 * A customer who is not banned stays as they are; of a deleted one, the address may sign up again.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND
 */
export async function unbanCustomer({ ctx, input }: Verb<z.output<typeof unbanCustomerInput>>): Promise<Customer> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, input);
      if (customer === undefined) throw notFound("customer");
      return toCustomer(await liftBan(ctx, customer, input.reason));
    },
    { isIdempotent: true },
  );
}

/** Lifts a ban if there is one, inside the transaction of a verb that has asked for permission. */
export async function liftBan(ctx: ServiceContext, customer: CustomerRow, reason?: string): Promise<CustomerRow> {
  const [ban] = await ctx.db.delete(customerBans).where(eq(customerBans.customerId, customer.id)).returning();
  if (ban === undefined) return customer;
  const status = customer.status === "banned" ? ban.previousStatus : customer.status;
  const change = { status, updatedAt: ctx.clock.now() };
  await ctx.db.update(customers).set(change).where(eq(customers.id, customer.id));
  const keyIds = await unblockTakenKeys(ctx, customer.id);
  await writeAudit(ctx, {
    action: "customers.unban",
    subject: customer.id,
    before: { status: customer.status },
    after: { status, keyIds, ...(reason === undefined ? {} : { reason }) },
  });
  await appendEvent(ctx, customersUnbanned, { customerId: customer.id });
  return { ...customer, ...change };
}

async function unblockTakenKeys(ctx: ServiceContext, customerId: string): Promise<string[]> {
  const taken = await ctx.db
    .delete(customerBanKeys)
    .where(eq(customerBanKeys.customerId, customerId))
    .returning({ id: customerBanKeys.keyId });
  if (taken.length === 0) return [];
  const takenByOthers = ctx.db.select({ id: customerBanKeys.keyId }).from(customerBanKeys);
  const unblocked = await ctx.db
    .update(keys)
    .set({ status: "active", blockedMessage: null, blockedBy: null, updatedAt: ctx.clock.now() })
    .where(
      and(
        inArray(
          keys.id,
          taken.map((row) => row.id),
        ),
        notInArray(keys.id, takenByOthers),
        eq(keys.status, "blocked"),
        // What an operator has blocked since is the operator's to give back.
        eq(keys.blockedBy, "ban"),
      ),
    )
    .returning();
  for (const key of unblocked) {
    await writeAudit(ctx, {
      action: "keys.unblock",
      subject: key.id,
      before: { status: "blocked" },
      after: { status: "active", customerId },
    });
    await appendEvent(ctx, keysUnblocked, keyEventData(key));
  }
  return unblocked.map((key) => key.id);
}
