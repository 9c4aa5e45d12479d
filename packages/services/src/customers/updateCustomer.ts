import type { Customer, updateCustomerInput } from "@tollgate/contracts";
import { CUSTOMER_STATUS_MOVES, customersUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { badRequest, conflict, notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { imposeBan } from "./banCustomer.ts";
import { markDeleted } from "./deleteCustomer.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";
import { setVerified } from "./markVerified.ts";
import { mergePatch } from "./mergePatch.ts";
import { liftBan } from "./unbanCustomer.ts";

/** Notes are for a few facts, not for files. Characters of JSON. */
const META_CHARACTERS_MAX = 16_384;

/**
 * Changes a customer's status, name and notes, for operators. A status moves only where the table of moves allows it, and
 * with everything that belongs to the move: a ban ends sessions, a deletion ends in an erasure.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND; CONFLICT `illegal_status_move`; BAD_REQUEST `meta_too_large`
 */
export async function updateCustomer({ ctx, input }: Verb<z.output<typeof updateCustomerInput>>): Promise<Customer> {
  requireAdmin(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, { id: input.id });
      if (customer === undefined) throw notFound("customer");
      const described = await describe(ctx, customer, input);
      return toCustomer(await moveStatus(ctx, described, input.status ?? described.status));
    },
    { isIdempotent: true },
  );
}

/** Writes the name and the notes, if they change. */
async function describe(
  ctx: ServiceContext,
  customer: CustomerRow,
  input: z.output<typeof updateCustomerInput>,
): Promise<CustomerRow> {
  const name = input.name === undefined ? customer.name : input.name;
  const meta = input.meta === undefined ? customer.meta : mergeMeta(customer.meta, input.meta);
  const fields = [
    ...(name === customer.name ? [] : ["name"]),
    ...(JSON.stringify(meta) === JSON.stringify(customer.meta) ? [] : ["meta"]),
  ];
  if (fields.length === 0) return customer;
  if (customer.status === "deleted") throw illegalMove("A deleted customer does not change");
  const change = { name, meta, updatedAt: ctx.clock.now() };
  await ctx.db.update(schema.customers).set(change).where(eq(schema.customers.id, customer.id));
  await writeAudit(ctx, {
    action: "customers.update",
    subject: customer.id,
    before: { name: customer.name, meta: customer.meta },
    after: { name, meta },
  });
  await appendEvent(ctx, customersUpdated, { customerId: customer.id, fields });
  return { ...customer, ...change };
}

function mergeMeta(meta: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const merged = mergePatch(meta, patch) as Record<string, unknown>;
  if (JSON.stringify(merged).length > META_CHARACTERS_MAX) {
    const message = `Must be at most ${META_CHARACTERS_MAX} characters of JSON in all`;
    throw badRequest(`meta: ${message}`, { reason: "meta_too_large", issues: [{ path: "meta", message }] });
  }
  return merged;
}

async function moveStatus(ctx: ServiceContext, customer: CustomerRow, to: CustomerRow["status"]): Promise<CustomerRow> {
  if (to === customer.status) return customer;
  const allowed: readonly string[] = CUSTOMER_STATUS_MOVES[customer.status];
  const move = `from ${customer.status} to ${to}`;
  if (!allowed.includes(to)) throw illegalMove(`A customer's status cannot go ${move}`);
  const moved = await performMove(ctx, customer, to);
  // Lifting a ban gives back what was there before it, which may be something else than was asked for.
  if (moved.status !== to) throw illegalMove(`This customer's status cannot go ${move}: it was ${moved.status} before`);
  return moved;
}

async function performMove(
  ctx: ServiceContext,
  customer: CustomerRow,
  to: CustomerRow["status"],
): Promise<CustomerRow> {
  switch (to) {
    case "banned":
      return imposeBan(ctx, customer, "Set by an operator");
    case "deleted":
      await markDeleted(ctx, customer, { force: false });
      return { ...customer, status: "deleted" };
    case "verified":
    case "unverified":
      return customer.status === "banned" ? liftBan(ctx, customer) : setVerified(ctx, customer);
  }
}

function illegalMove(message: string): TollgateError {
  return conflict(message, { reason: "illegal_status_move", issues: [{ path: "status", message }] });
}
