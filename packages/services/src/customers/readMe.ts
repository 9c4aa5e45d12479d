import type { Me } from "@tollgate/contracts";
import { prepareQuery, schema } from "@tollgate/db";
import { unauthorized } from "@tollgate/kernel";
import { and, asc, eq, isNull, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireCustomer } from "../permissions.ts";
import { toProject } from "../projects/internal.ts";
import { toCustomer } from "./internal.ts";

const { billingAccountAdmins, billingAccounts, customers, projectMembers, projects } = schema;
const customerId = sql.placeholder("customerId");

const findMyself = prepareQuery((db) =>
  db.select().from(customers).where(eq(customers.id, customerId)).prepare("me_customer"),
);
const findMyProjects = prepareQuery((db) =>
  db
    .select({ project: projects, role: projectMembers.role })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(and(eq(projectMembers.customerId, customerId), isNull(projects.deletedAt)))
    .orderBy(asc(projects.createdAt), asc(projects.id))
    .prepare("me_projects"),
);
const findMyAccounts = prepareQuery((db) =>
  db
    .select({ id: billingAccounts.id, name: billingAccounts.name, tierId: billingAccounts.tierId })
    .from(billingAccountAdmins)
    .innerJoin(billingAccounts, eq(billingAccounts.id, billingAccountAdmins.billingAccountId))
    .where(eq(billingAccountAdmins.customerId, customerId))
    .orderBy(asc(billingAccounts.createdAt), asc(billingAccounts.id))
    .prepare("me_accounts"),
);

/** The caller, their projects with roles, and the billing accounts that they administer. @throws TollgateError UNAUTHORIZED */
export async function readMe({ ctx }: { readonly ctx: ServiceContext }): Promise<Me> {
  const { customerId } = requireCustomer(ctx);
  const [[customer], memberships, accounts] = await Promise.all([
    findMyself(ctx.db).execute({ customerId }),
    findMyProjects(ctx.db).execute({ customerId }),
    findMyAccounts(ctx.db).execute({ customerId }),
  ]);
  if (customer === undefined || customer.deletedAt !== null) throw unauthorized("The account is gone");
  return {
    customer: toCustomer(customer),
    projects: memberships.map(({ project, role }) => toProject(project, role)),
    billingAccounts: accounts,
  };
}
