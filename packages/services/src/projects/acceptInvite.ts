import type { inviteIdInput, Project } from "@tollgate/contracts";
import { projectsMemberJoined } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict } from "@tollgate/kernel";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { toProject } from "./internal.ts";
import { removeInvite, requireReceivedInvite } from "./invites.ts";

/**
 * Joins the project of an invitation to the caller's address. @throws TollgateError UNAUTHORIZED; NOT_FOUND for an
 * invitation that is not theirs or is over; CONFLICT `already_member`
 */
export async function acceptInvite({ ctx, input }: Verb<z.output<typeof inviteIdInput>>): Promise<Project> {
  const { projectMembers } = schema;
  return withTransaction(ctx, async (ctx) => {
    const { invite, project, customer } = await requireReceivedInvite(ctx, input.id);
    const member = { projectId: project.id, customerId: customer.id, role: invite.role };
    const joined = await ctx.db
      .insert(projectMembers)
      .values({ ...member, createdAt: ctx.clock.now() })
      .onConflictDoNothing()
      .returning({ customerId: projectMembers.customerId });
    if (joined.length === 0) throw conflict("You are a member already", { reason: "already_member" });
    await removeInvite(ctx, invite.id);
    await writeAudit(ctx, { action: "projects.acceptInvite", subject: project.id, after: member });
    await appendEvent(ctx, projectsMemberJoined, member);
    return toProject(project, invite.role);
  });
}
