import type { Done, inviteIdInput } from "@tollgate/contracts";
import { projectsInviteRevoked } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { notFound, TollgateError } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { assertMayDecideOn, requireMembership } from "./internal.ts";
import { removeInvite } from "./invites.ts";

/** Takes an invitation back, for admins of its project. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function revokeInvite({ ctx, input }: Verb<z.output<typeof inviteIdInput>>): Promise<Done> {
  const { projectInvites } = schema;
  return withTransaction(ctx, async (ctx) => {
    const [invite] = await ctx.db.select().from(projectInvites).where(eq(projectInvites.id, input.id));
    try {
      // Asked also for an invitation that is not there, so that a caller without a login learns just that.
      const { own } = await requireMembership(ctx, invite?.projectId ?? "", "projects.revokeInvite");
      if (invite === undefined) throw notFound("invite");
      assertMayDecideOn(own, invite.role);
    } catch (error) {
      if (error instanceof TollgateError && error.code === "NOT_FOUND") throw notFound("invite");
      throw error;
    }
    await removeInvite(ctx, invite.id);
    await writeAudit(ctx, { action: "projects.revokeInvite", subject: invite.id, before: { role: invite.role } });
    await appendEvent(ctx, projectsInviteRevoked, { projectId: invite.projectId, inviteId: invite.id });
    return { ok: true };
  });
}
