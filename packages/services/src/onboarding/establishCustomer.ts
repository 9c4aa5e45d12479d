import { schema } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "../customers/internal.ts";
import { setVerified } from "../customers/markVerified.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { DEFAULT_PROJECT_NAME, insertBillingAccount, insertProject } from "../projects/insertProject.ts";
import { claimPromo } from "./claimPromo.ts";

const WELCOME_DELAY_MS = 24 * 3_600_000;
const { projectMembers } = schema;

/**
 * Makes somebody who has just proven their address a customer in full, however they proved it, inside the transaction of
 * the sign-up: verified, with a first project and who pays for it, and a welcome a day later.
 */
export async function establishCustomer(ctx: ServiceContext, customer: CustomerRow): Promise<CustomerRow> {
  const verified = customer.status === "unverified" ? await setVerified(ctx, customer) : customer;
  await ensureProject(ctx, verified);
  await queueEmail(ctx, {
    template: "welcome",
    to: customer.email,
    data: { gatewayUrl: ctx.settings.publicGatewayUrl, referenceUrl: `${ctx.settings.publicApiUrl}/reference` },
    sendAt: new Date(ctx.clock.nowMs() + WELCOME_DELAY_MS),
    idempotencyKey: `welcome:${customer.id}`,
  });
  return verified;
}

/** A first project and who pays for it. A customer whom an operator verified may have one already. */
async function ensureProject(ctx: ServiceContext, customer: CustomerRow): Promise<void> {
  const [membership] = await ctx.db
    .select({ projectId: projectMembers.projectId })
    .from(projectMembers)
    .where(eq(projectMembers.customerId, customer.id))
    .limit(1);
  if (membership !== undefined) return;
  const billingAccountId = await insertBillingAccount(ctx, { name: DEFAULT_PROJECT_NAME, adminId: customer.id });
  await insertProject(ctx, { name: DEFAULT_PROJECT_NAME, billingAccountId, ownerId: customer.id });
  await claimPromo(ctx, { email: customer.email, billingAccountId });
}
