import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/** Copies of their data that the person had made. */
export async function eraseExports(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { customerExports } = schema;
  const erased = await ctx.db
    .delete(customerExports)
    .where(eq(customerExports.customerId, customer.id))
    .returning({ id: customerExports.id });
  return { exports: erased.length };
}
