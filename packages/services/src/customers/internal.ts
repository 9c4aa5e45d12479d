import type { Customer, customerRefInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";

const { customers } = schema;
export type CustomerRow = typeof customers.$inferSelect;
export type CustomerRef = z.output<typeof customerRefInput>;

export function toCustomer(row: CustomerRow): Customer {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    status: row.status,
    isOperator: row.isOperator,
    meta: row.meta,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

/** The customer with an id, deleted or not, or the one who has an address at present. */
export async function findCustomer(ctx: ServiceContext, ref: CustomerRef): Promise<CustomerRow | undefined> {
  const condition = "id" in ref ? eq(customers.id, ref.id) : holdsEmail(ref.email);
  const [row] = await ctx.db.select().from(customers).where(condition);
  return row;
}

/** The one who has an address at present; a deleted customer has given theirs up. */
export const holdsEmail = (email: string) => and(eq(customers.email, email), isNull(customers.deletedAt));

/** The same context, acting as a customer who has just proven who they are. */
export function actingAs<Ctx extends ServiceContext>(ctx: Ctx, customer: CustomerRow, sessionId: string): Ctx {
  const { id: customerId, isOperator } = customer;
  return { ...ctx, actor: { kind: "customer", customerId, sessionId, isOperator } };
}
