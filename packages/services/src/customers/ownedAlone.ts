import { schema } from "@tollgate/db";
import { and, asc, eq, exists, isNull, ne, not } from "drizzle-orm";
import { alias } from "drizzle-orm/pg-core";
import type { ServiceContext } from "../context.ts";

const { billingAccountAdmins, customers, projectMembers, projects } = schema;

/** The projects that have no owner but this customer: nobody else is left who could speak for them. */
export async function findOwnedAlone(ctx: ServiceContext, customerId: string): Promise<string[]> {
  const others = alias(projectMembers, "others");
  const otherOwners = ctx.db
    .select({ id: others.customerId })
    .from(others)
    .innerJoin(customers, eq(customers.id, others.customerId))
    .where(
      and(
        eq(others.projectId, projectMembers.projectId),
        eq(others.role, "owner"),
        ne(others.customerId, customerId),
        isNull(customers.deletedAt),
      ),
    );
  const rows = await ctx.db
    .select({ id: projectMembers.projectId })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(
      and(
        eq(projectMembers.customerId, customerId),
        eq(projectMembers.role, "owner"),
        isNull(projects.deletedAt),
        not(exists(otherOwners)),
      ),
    )
    .orderBy(asc(projectMembers.projectId));
  return rows.map((row) => row.id);
}

/** The billing accounts that nobody administers but this customer. */
export async function findAdministeredAlone(ctx: ServiceContext, customerId: string): Promise<string[]> {
  const others = alias(billingAccountAdmins, "others");
  const otherAdmins = ctx.db
    .select({ id: others.customerId })
    .from(others)
    .innerJoin(customers, eq(customers.id, others.customerId))
    .where(
      and(
        eq(others.billingAccountId, billingAccountAdmins.billingAccountId),
        ne(others.customerId, customerId),
        isNull(customers.deletedAt),
      ),
    );
  const rows = await ctx.db
    .select({ id: billingAccountAdmins.billingAccountId })
    .from(billingAccountAdmins)
    .where(and(eq(billingAccountAdmins.customerId, customerId), not(exists(otherAdmins))))
    .orderBy(asc(billingAccountAdmins.billingAccountId));
  return rows.map((row) => row.id);
}
