import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import type { StepDetail } from "./steps.ts";

/** That something was done stays in the audit; from which address, and what the person's own record said, does not. */
export async function eraseAudit(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { auditLog } = schema;
  const aboutThem = await ctx.db
    .update(auditLog)
    .set({ ip: null, before: null, after: null })
    .where(eq(auditLog.subject, customer.id))
    .returning({ id: auditLog.id });
  const byThem = await ctx.db
    .update(auditLog)
    .set({ ip: null })
    .where(eq(auditLog.actor, `customer:${customer.id}`))
    .returning({ id: auditLog.id });
  return { aboutThem: aboutThem.length, byThem: byThem.length };
}
