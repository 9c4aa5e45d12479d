import type { Customer, updateNameInput } from "@tollgate/contracts";
import { customersUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { unauthorized } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { findCustomer, toCustomer } from "./internal.ts";

/** Changes the caller's name. @throws TollgateError UNAUTHORIZED */
export async function updateName({ ctx, input }: Verb<z.output<typeof updateNameInput>>): Promise<Customer> {
  const { customerId } = requireCustomer(ctx);
  return withTransaction(
    ctx,
    async (ctx) => {
      const customer = await findCustomer(ctx, { id: customerId });
      if (customer === undefined || customer.deletedAt !== null) throw unauthorized("The account is gone");
      if (customer.name === input.name) return toCustomer(customer);
      const change = { name: input.name, updatedAt: ctx.clock.now() };
      await ctx.db.update(schema.customers).set(change).where(eq(schema.customers.id, customerId));
      await writeAudit(ctx, {
        action: "customers.updateName",
        subject: customerId,
        before: { name: customer.name },
        after: { name: input.name },
      });
      await appendEvent(ctx, customersUpdated, { customerId, fields: ["name"] });
      return toCustomer({ ...customer, ...change });
    },
    { isIdempotent: true },
  );
}
