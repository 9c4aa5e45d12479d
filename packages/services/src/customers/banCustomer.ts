import type { banCustomerInput, Customer } from "@tollgate/contracts";
import { customersBanned, keysBlocked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, notFound } from "@tollgate/kernel";
import { and, eq, inArray } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { keyEventData } from "../keys/internal.ts";
import { requireAdmin } from "../permissions.ts";
import { BAN_MESSAGE, banHash } from "./bans.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";
import { endAllSessions } from "./sessions.ts";

const { customerBanKeys, customerBans, customers, keys, projectMembers } = schema;

/**
 * Bans a customer, for operators: every session ends, the keys of the projects that they own are blocked, and signing up
 * with their address, however it is spelled, is refused. Banning again changes nothing.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND; CONFLICT `customer_deleted`, `own_account`
 */
export async function banCustomer({ ctx, input }: Verb<z.output<typeof banCustomerInput>>): Promise<Customer> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, input);
      if (customer === undefined) throw notFound("customer");
      return toCustomer(await imposeBan(ctx, customer, input.reason));
    },
    { isIdempotent: true },
  );
}

/** Bans a customer, inside the transaction of a verb that has asked for permission. */
export async function imposeBan(ctx: ServiceContext, customer: CustomerRow, reason: string): Promise<CustomerRow> {
  if (customer.status === "banned") return customer;
  if (customer.status === "deleted") throw conflict("The customer is deleted", { reason: "customer_deleted" });
  if (ctx.actor.kind === "customer" && ctx.actor.customerId === customer.id) {
    throw conflict("Operators do not ban themselves", { reason: "own_account" });
  }
  const now = ctx.clock.now();
  const change = { status: "banned", updatedAt: now } as const;
  await ctx.db.update(customers).set(change).where(eq(customers.id, customer.id));
  await ctx.db.insert(customerBans).values({
    customerId: customer.id,
    mailboxHash: banHash(ctx, customer.email),
    reason,
    previousStatus: customer.status,
    createdAt: now,
  });
  await endAllSessions(ctx, customer.id);
  const keyIds = await blockOwnedKeys(ctx, customer.id);
  await writeAudit(ctx, {
    action: "customers.ban",
    subject: customer.id,
    before: { status: customer.status },
    after: { status: change.status, reason, keyIds },
  });
  await appendEvent(ctx, customersBanned, { customerId: customer.id });
  return { ...customer, ...change };
}

/**
 * Blocks the keys that work at present, and remembers which they were. A key that the ban of another owner has blocked is
 * remembered too: it works again when both are lifted.
 */
async function blockOwnedKeys(ctx: ServiceContext, customerId: string): Promise<string[]> {
  const owned = ctx.db
    .select({ id: projectMembers.projectId })
    .from(projectMembers)
    .where(and(eq(projectMembers.customerId, customerId), eq(projectMembers.role, "owner")));
  const blocked = await ctx.db
    .update(keys)
    .set({ status: "blocked", blockedMessage: BAN_MESSAGE, blockedBy: "ban", updatedAt: ctx.clock.now() })
    .where(and(inArray(keys.projectId, owned), eq(keys.status, "active")))
    .returning();
  const taken = await ctx.db
    .select({ keyId: keys.id })
    .from(keys)
    .where(and(inArray(keys.projectId, owned), eq(keys.status, "blocked"), eq(keys.blockedBy, "ban")));
  if (taken.length > 0) {
    const rows = taken.map(({ keyId }) => ({ customerId, keyId }));
    await ctx.db.insert(customerBanKeys).values(rows).onConflictDoNothing();
  }
  for (const key of blocked) {
    await writeAudit(ctx, {
      action: "keys.block",
      subject: key.id,
      after: { status: "blocked", message: BAN_MESSAGE, customerId },
    });
    await appendEvent(ctx, keysBlocked, { ...keyEventData(key), message: BAN_MESSAGE });
  }
  return blocked.map((key) => key.id);
}
