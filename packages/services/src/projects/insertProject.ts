import { projectsCreated } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { FREE_TIER_ID } from "../billing/seedTiers.ts";
import { walletBudgetId } from "../budgets/budgetIds.ts";
import type { ServiceContext } from "../context.ts";
import type { ProjectRow } from "../permissions.ts";

/** What a customer's first project is called. */
export const DEFAULT_PROJECT_NAME = "Default";

/** Writes a project that the customer owns, inside the transaction of a verb that has asked for permission. */
export async function insertProject(
  ctx: ServiceContext,
  project: { readonly name: string; readonly billingAccountId: string; readonly ownerId: string },
): Promise<ProjectRow> {
  const { name, billingAccountId, ownerId } = project;
  const now = ctx.clock.now();
  const [row] = await ctx.db
    .insert(schema.projects)
    .values({ id: newId("project"), name, billingAccountId, createdAt: now, updatedAt: now })
    .returning();
  if (row === undefined) throw new Error("A project was inserted and is not there");
  await ctx.db
    .insert(schema.projectMembers)
    .values({ projectId: row.id, customerId: ownerId, role: "owner", createdAt: now });
  await writeAudit(ctx, { action: "projects.create", subject: row.id, after: { name, billingAccountId, ownerId } });
  await appendEvent(ctx, projectsCreated, { projectId: row.id, billingAccountId, customerId: ownerId });
  return row;
}

/**
 * Writes a billing account, on the free tier unless another is named, with an empty wallet, administered by the customer, inside a transaction.
 * The wallet is there from the first moment, so a gateway never has to tell "no credit" from "no wallet".
 */
export async function insertBillingAccount(
  ctx: ServiceContext,
  account: { readonly name: string; readonly adminId: string; readonly tierId?: string },
): Promise<string> {
  const id = newId("billingAccount");
  const now = ctx.clock.now();
  const { name, adminId, tierId = FREE_TIER_ID } = account;
  await ctx.db.insert(schema.billingAccounts).values({ id, name, tierId, createdAt: now, updatedAt: now });
  await ctx.db
    .insert(schema.billingAccountAdmins)
    .values({ billingAccountId: id, customerId: adminId, createdAt: now });
  await ctx.db.insert(schema.budgets).values({
    id: walletBudgetId(id),
    kind: "wallet",
    billingAccountId: id,
    limitAmount: 0n,
    createdAt: now,
    updatedAt: now,
  });
  await writeAudit(ctx, {
    action: "billing.createAccount",
    subject: id,
    after: { tierId, adminId },
  });
  return id;
}
