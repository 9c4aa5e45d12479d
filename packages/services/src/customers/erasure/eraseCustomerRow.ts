import { customersErased } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/** The row itself stays, because others point at it, and says nothing of anybody any more. It ends the erasure. */
export async function eraseCustomerRow(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { customerBans, customers, erasures } = schema;
  const now = ctx.clock.now();
  await ctx.db
    .update(customers)
    .set({ email: `${customer.id}@erased.invalid`, name: null, meta: {}, isOperator: false, updatedAt: now })
    .where(eq(customers.id, customer.id));
  // A ban stands, against a mailbox that only its owner can name; what an operator wrote about them goes.
  await ctx.db.update(customerBans).set({ reason: "erased" }).where(eq(customerBans.customerId, customer.id));
  await ctx.db.update(erasures).set({ finishedAt: now }).where(eq(erasures.customerId, customer.id));
  await writeAudit(ctx, { action: "customers.erase", subject: customer.id });
  await appendEvent(ctx, customersErased, { customerId: customer.id });
  return {};
}
