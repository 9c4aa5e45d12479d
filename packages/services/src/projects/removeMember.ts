import type { Done, removeMemberInput } from "@tollgate/contracts";
import { projectsMemberLeft } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import type { MemberRow } from "./internal.ts";
import { assertMayDecideOn, assertOwnerRemains, getMember, requireMembership } from "./internal.ts";

/**
 * Takes somebody out of a project, for its admins; an owner only by owners, and never the last one. Keys that they made
 * are the project's and go on working. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN; CONFLICT `last_owner`
 */
export async function removeMember({ ctx, input }: Verb<z.output<typeof removeMemberInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const { own } = await requireMembership(ctx, input.projectId, "projects.removeMember");
    const member = await getMember(ctx, input.projectId, input.customerId);
    assertMayDecideOn(own, member.role);
    await endMembership(ctx, "projects.removeMember", member);
    return { ok: true };
  });
}

/** Ends a membership with its audit row and event, inside a transaction. @throws TollgateError CONFLICT `last_owner` */
export async function endMembership(ctx: ServiceContext, action: string, member: MemberRow): Promise<void> {
  const { projectMembers } = schema;
  const { projectId, customerId, role } = member;
  await assertOwnerRemains(ctx, member);
  await ctx.db
    .delete(projectMembers)
    .where(and(eq(projectMembers.projectId, projectId), eq(projectMembers.customerId, customerId)));
  await writeAudit(ctx, { action, subject: projectId, before: { customerId, role } });
  await appendEvent(ctx, projectsMemberLeft, { projectId, customerId });
}
