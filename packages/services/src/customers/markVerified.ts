import type { Customer } from "@tollgate/contracts";
import { customersVerified } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { ServiceContext, Verb } from "../context.ts";
import { requireAdminOrService } from "../permissions.ts";
import type { CustomerRef, CustomerRow } from "./internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";

/**
 * Takes an address as proven, for operators and services. It neither lifts a ban nor revives a deleted customer.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND; CONFLICT `customer_banned`, `customer_deleted`
 */
export async function markVerified({ ctx, input }: Verb<CustomerRef>): Promise<Customer> {
  requireAdminOrService(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, input);
      if (customer === undefined) throw notFound("customer");
      switch (customer.status) {
        case "verified":
          return toCustomer(customer);
        case "unverified":
          return toCustomer(await setVerified(ctx, customer));
        case "banned":
        case "deleted":
          throw conflict(`The customer is ${customer.status}`, { reason: `customer_${customer.status}` });
      }
    },
    { isIdempotent: true },
  );
}

/** Verifies a customer who is unverified, inside a transaction. */
export async function setVerified(ctx: ServiceContext, customer: CustomerRow): Promise<CustomerRow> {
  const change = { status: "verified", updatedAt: ctx.clock.now() } as const;
  await ctx.db.update(schema.customers).set(change).where(eq(schema.customers.id, customer.id));
  await writeAudit(ctx, {
    action: "customers.markVerified",
    subject: customer.id,
    before: { status: customer.status },
    after: { status: change.status },
  });
  await appendEvent(ctx, customersVerified, { customerId: customer.id });
  return { ...customer, ...change };
}
