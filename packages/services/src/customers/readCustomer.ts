import type { Customer } from "@tollgate/contracts";
import { isAdmin, notFound } from "@tollgate/kernel";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import type { CustomerRef } from "./internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";

/** A customer, for themselves and for operators. @throws TollgateError UNAUTHORIZED; NOT_FOUND, also for everybody else's */
export async function readCustomer({ ctx, input }: Verb<CustomerRef>): Promise<Customer> {
  const actor = requireCustomer(ctx);
  const customer = await findCustomer(ctx, input);
  const maySee = isAdmin(actor) || customer?.id === actor.customerId;
  if (customer === undefined || !maySee) throw notFound("customer");
  return toCustomer(customer);
}
