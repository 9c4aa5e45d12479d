import { schema } from "@tollgate/db";
import { and, asc, eq, inArray } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { Owned } from "../permissions.ts";

/** Somebody who is to be told. */
export interface Addressee {
  readonly customerId: string;
  readonly email: string;
}

/** Who is responsible for what belongs to a project (its owners and admins) or a billing account (its admins): verified people. */
export async function listResponsible(ctx: ServiceContext, owner: Owned): Promise<Addressee[]> {
  const { billingAccountAdmins, customers, projectMembers } = schema;
  const columns = { customerId: customers.id, email: customers.email };
  const isReachable = and(eq(customers.status, "verified"), eq(customers.isInternal, false));
  if (owner.projectId !== null) {
    return ctx.db
      .select(columns)
      .from(projectMembers)
      .innerJoin(customers, eq(customers.id, projectMembers.customerId))
      .where(
        and(
          eq(projectMembers.projectId, owner.projectId),
          inArray(projectMembers.role, ["owner", "admin"]),
          isReachable,
        ),
      )
      .orderBy(asc(customers.id));
  }
  return ctx.db
    .select(columns)
    .from(billingAccountAdmins)
    .innerJoin(customers, eq(customers.id, billingAccountAdmins.customerId))
    .where(and(eq(billingAccountAdmins.billingAccountId, owner.billingAccountId ?? ""), isReachable))
    .orderBy(asc(customers.id));
}
