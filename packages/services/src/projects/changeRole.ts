import type { changeRoleInput, Done } from "@tollgate/contracts";
import { projectsRoleChanged } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import type { ProjectRole } from "../permissions.ts";
import type { MemberRow } from "./internal.ts";
import { assertMayDecideOn, assertOwnerRemains, getMember, requireMembership } from "./internal.ts";

/**
 * Gives a member another role, for the project's admins; ownership is given and taken by owners only, and the last owner
 * stays one. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `last_owner`
 */
export async function changeRole({ ctx, input }: Verb<z.output<typeof changeRoleInput>>): Promise<Done> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const { own } = await requireMembership(ctx, input.projectId, "projects.changeRole");
      const member = await getMember(ctx, input.projectId, input.customerId);
      assertMayDecideOn(own, member.role, input.role);
      if (input.role !== "owner") await assertOwnerRemains(ctx, member);
      await writeRole(ctx, "projects.changeRole", member, input.role);
      return { ok: true };
    },
    { isIdempotent: true },
  );
}

/** Writes a role with its audit row and event, inside a transaction; nothing if it is the same. */
export async function writeRole(
  ctx: ServiceContext,
  action: string,
  member: MemberRow,
  role: ProjectRole,
): Promise<void> {
  if (member.role === role) return;
  const { projectMembers } = schema;
  const { projectId, customerId } = member;
  await ctx.db
    .update(projectMembers)
    .set({ role })
    .where(and(eq(projectMembers.projectId, projectId), eq(projectMembers.customerId, customerId)));
  await writeAudit(ctx, {
    action,
    subject: projectId,
    before: { customerId, role: member.role },
    after: { customerId, role },
  });
  await appendEvent(ctx, projectsRoleChanged, { projectId, customerId, from: member.role, to: role });
}
