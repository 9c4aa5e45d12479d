import { schema } from "@tollgate/db";
import { eq, inArray, or } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/**
 * That somebody did something to some record stays in the audit. From which address, and what it said before and after,
 * goes: for what the person did, for what was done to them, and for the projects and keys that end with them. It runs
 * before the projects end, while it can still be told which these are.
 */
export async function eraseAudit(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { auditLog, keys } = schema;
  const projectIds = await findOwnedAlone(ctx, customer.id);
  const ended =
    projectIds.length === 0
      ? undefined
      : or(
          inArray(auditLog.subject, projectIds),
          inArray(
            auditLog.subject,
            ctx.db.select({ id: keys.id }).from(keys).where(inArray(keys.projectId, projectIds)),
          ),
        );
  const erased = await ctx.db
    .update(auditLog)
    .set({ ip: null, before: null, after: null })
    .where(or(eq(auditLog.actor, `customer:${customer.id}`), eq(auditLog.subject, customer.id), ended))
    .returning({ id: auditLog.id });
  return { rows: erased.length };
}
