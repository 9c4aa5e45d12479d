import type { Impersonation, impersonateInput } from "@tollgate/contracts";
import { adminImpersonated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { forbidden, notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { TokenContext } from "../customers/index.ts";
import { requireAdmin, requireCustomer } from "../permissions.ts";

/**
 * A token with which an operator sees what a customer sees, for a quarter of an hour. Every mutation refuses it; it ends
 * with the operator's own session. @throws TollgateError UNAUTHORIZED, FORBIDDEN (also for another operator), NOT_FOUND
 */
export async function impersonate({
  ctx,
  input,
}: {
  readonly ctx: TokenContext;
  readonly input: z.output<typeof impersonateInput>;
}): Promise<Impersonation> {
  requireAdmin(ctx);
  const operator = requireCustomer(ctx);
  const { customers } = schema;
  const { customerId, reason } = input;
  await withTransaction(ctx, async (ctx) => {
    const [customer] = await ctx.db.select().from(customers).where(eq(customers.id, customerId));
    if (customer === undefined || customer.status === "deleted") throw notFound("customer");
    if (customer.isOperator) throw forbidden("An operator is not impersonated", { reason: "customer_is_operator" });
    await writeAudit(ctx, { action: "admin.impersonate", subject: customerId, after: { reason } });
    await appendEvent(ctx, adminImpersonated, { customerId, operatorId: operator.customerId });
  });
  const { sessionId, customerId: impersonatedBy } = operator;
  const issued = await ctx.tokenIssuer.issueAccessToken({ customerId, sessionId, isOperator: false, impersonatedBy });
  return { ...issued, customerId };
}
