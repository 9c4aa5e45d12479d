import type { Me } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { unauthorized } from "@tollgate/kernel";
import { and, asc, eq, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { toProject } from "../projects/internal.ts";
import { findCustomer, toCustomer } from "./internal.ts";

/** The caller, their projects with roles, and the billing accounts that they administer. @throws TollgateError UNAUTHORIZED */
export async function readMe({ ctx }: { readonly ctx: ServiceContext }): Promise<Me> {
  const { customerId } = requireCustomer(ctx);
  const { billingAccountAdmins, billingAccounts, projectMembers, projects } = schema;
  const [customer, memberships, accounts] = await Promise.all([
    findCustomer(ctx, { id: customerId }),
    ctx.db
      .select({ project: projects, role: projectMembers.role })
      .from(projectMembers)
      .innerJoin(projects, eq(projects.id, projectMembers.projectId))
      .where(and(eq(projectMembers.customerId, customerId), isNull(projects.deletedAt)))
      .orderBy(asc(projects.createdAt), asc(projects.id)),
    ctx.db
      .select({ id: billingAccounts.id, name: billingAccounts.name, tierId: billingAccounts.tierId })
      .from(billingAccountAdmins)
      .innerJoin(billingAccounts, eq(billingAccounts.id, billingAccountAdmins.billingAccountId))
      .where(eq(billingAccountAdmins.customerId, customerId))
      .orderBy(asc(billingAccounts.createdAt), asc(billingAccounts.id)),
  ]);
  if (customer === undefined || customer.deletedAt !== null) throw unauthorized("The account is gone");
  return {
    customer: toCustomer(customer),
    projects: memberships.map(({ project, role }) => toProject(project, role)),
    billingAccounts: accounts,
  };
}
