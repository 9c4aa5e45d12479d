import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/** Devices, addresses and the password. */
export async function eraseSessions(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { passwords, sessions } = schema;
  const erased = await ctx.db
    .delete(sessions)
    .where(eq(sessions.customerId, customer.id))
    .returning({ id: sessions.id });
  await ctx.db.delete(passwords).where(eq(passwords.customerId, customer.id));
  return { sessions: erased.length };
}
