import type { Project } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { TollgateError } from "@tollgate/kernel";
import { conflict, forbidden, notFound } from "@tollgate/kernel";
import { and, eq, isNull, ne } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { ProjectPermission, ProjectRole, ProjectRow } from "../permissions.ts";
import { requireCustomer, requireMember } from "../permissions.ts";

const { customers, projectMembers } = schema;
export type MemberRow = typeof projectMembers.$inferSelect;

export function toProject(row: ProjectRow, role: ProjectRole): Project {
  return {
    id: row.id,
    name: row.name,
    billingAccountId: row.billingAccountId,
    role,
    monthlySpendCapMicros: row.monthlySpendCapMicros,
    createdAt: row.createdAt,
  };
}

/** The project and the caller's membership in it. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function requireMembership(
  ctx: ServiceContext,
  projectId: string,
  permission: ProjectPermission,
): Promise<{ readonly project: ProjectRow; readonly own: MemberRow }> {
  const { customerId } = requireCustomer(ctx);
  const project = await requireMember(ctx, projectId, permission);
  const own = await findMember(ctx, projectId, customerId);
  if (own === undefined) throw notFound("project");
  return { project, own };
}

/** @throws TollgateError NOT_FOUND for somebody who is not in the project */
export async function getMember(ctx: ServiceContext, projectId: string, customerId: string): Promise<MemberRow> {
  const member = await findMember(ctx, projectId, customerId);
  if (member === undefined) throw notFound("member");
  return member;
}

async function findMember(ctx: ServiceContext, projectId: string, customerId: string): Promise<MemberRow | undefined> {
  const [row] = await ctx.db
    .select()
    .from(projectMembers)
    .where(and(eq(projectMembers.projectId, projectId), eq(projectMembers.customerId, customerId)));
  return row;
}

/** Ownership is the owners' to give and to take: an admin neither makes owners nor touches them. @throws TollgateError FORBIDDEN */
export function assertMayDecideOn(own: MemberRow, ...roles: readonly ProjectRole[]): void {
  if (own.role !== "owner" && roles.includes("owner")) {
    throw forbidden("Only an owner of the project decides who owns it", { reason: "role_too_low" });
  }
}

/**
 * A project is never left without an owner who can still sign in. Two owners who leave at once read each other's row, so
 * one of the two transactions is run again and then fails here. @throws TollgateError CONFLICT `last_owner`
 */
export async function assertOwnerRemains(ctx: ServiceContext, leaving: MemberRow): Promise<void> {
  if (leaving.role !== "owner") return;
  const [other] = await ctx.db
    .select({ customerId: projectMembers.customerId })
    .from(projectMembers)
    .innerJoin(customers, eq(customers.id, projectMembers.customerId))
    .where(
      and(
        eq(projectMembers.projectId, leaving.projectId),
        eq(projectMembers.role, "owner"),
        ne(projectMembers.customerId, leaving.customerId),
        isNull(customers.deletedAt),
      ),
    )
    .limit(1);
  if (other === undefined) throw lastOwner();
}

function lastOwner(): TollgateError {
  return conflict("The project's last owner cannot go: make somebody else an owner first, or delete the project", {
    reason: "last_owner",
  });
}
