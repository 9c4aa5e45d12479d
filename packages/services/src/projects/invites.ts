import type { ProjectInvite } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq, gt, isNull } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import type { CustomerRow } from "../customers/internal.ts";
import type { ProjectRow } from "../permissions.ts";
import { requireCustomer } from "../permissions.ts";

/**
 * Invitations go to an address, not to a person: who has proven that they have the address answers them. To anybody else,
 * and when it is over, an invitation is as if it were not there.
 */
export const INVITE_LIFETIME_MS = 7 * 24 * 3_600_000;
const { customers, projectInvites, projects } = schema;

export type InviteRow = typeof projectInvites.$inferSelect;

export function toInvite(row: InviteRow): ProjectInvite {
  return {
    id: row.id,
    projectId: row.projectId,
    email: row.email,
    role: row.role,
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
  };
}

/** The caller and an open invitation of theirs. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function requireReceivedInvite(
  ctx: ServiceContext,
  inviteId: string,
): Promise<{ readonly invite: InviteRow; readonly project: ProjectRow; readonly customer: CustomerRow }> {
  const { customerId } = requireCustomer(ctx);
  const [row] = await ctx.db
    .select({ invite: projectInvites, project: projects, customer: customers })
    .from(projectInvites)
    .innerJoin(projects, eq(projects.id, projectInvites.projectId))
    .innerJoin(customers, eq(customers.email, projectInvites.email))
    .where(
      and(
        eq(projectInvites.id, inviteId),
        gt(projectInvites.expiresAt, ctx.clock.now()),
        isNull(projects.deletedAt),
        eq(customers.id, customerId),
        eq(customers.status, "verified"),
      ),
    );
  if (row === undefined) throw notFound("invite");
  return row;
}

/** Closes an invitation, inside a transaction. */
export async function removeInvite(ctx: ServiceContext, inviteId: string): Promise<void> {
  await ctx.db.delete(projectInvites).where(eq(projectInvites.id, inviteId));
}
