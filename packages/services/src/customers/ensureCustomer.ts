import { customersCreated } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer } from "./internal.ts";
import { isInternalAddress } from "./internalAddress.ts";

/**
 * The customer who has an address, made as `unverified` if nobody has it; inside a transaction. Two at once make one:
 * the address is unique among customers who are not deleted.
 */
export async function ensureCustomer(
  ctx: ServiceContext,
  person: { readonly email: string; readonly name?: string | undefined },
): Promise<CustomerRow> {
  const { customers } = schema;
  const now = ctx.clock.now();
  const [inserted] = await ctx.db
    .insert(customers)
    .values({
      id: newId("customer"),
      email: person.email,
      name: person.name ?? null,
      status: "unverified",
      isInternal: isInternalAddress(person.email),
      createdAt: now,
      updatedAt: now,
    })
    .onConflictDoNothing({ target: customers.email, where: sql`deleted_at is null` })
    .returning();
  if (inserted !== undefined) {
    await writeAudit(ctx, { action: "customers.create", subject: inserted.id, after: { status: inserted.status } });
    await appendEvent(ctx, customersCreated, { customerId: inserted.id });
    return inserted;
  }
  const found = await findCustomer(ctx, { email: person.email });
  if (found === undefined) throw new Error("A customer who stood in the way cannot be found");
  return found;
}
