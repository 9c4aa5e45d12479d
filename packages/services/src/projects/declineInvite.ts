import type { Done, inviteIdInput } from "@tollgate/contracts";
import { projectsInviteDeclined } from "@tollgate/contracts";
import { appendEvent, withTransaction, writeAudit } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { removeInvite, requireReceivedInvite } from "./invites.ts";

/** Turns down an invitation to the caller's address. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function declineInvite({ ctx, input }: Verb<z.output<typeof inviteIdInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const { invite, project } = await requireReceivedInvite(ctx, input.id);
    await removeInvite(ctx, invite.id);
    await writeAudit(ctx, { action: "projects.declineInvite", subject: invite.id, before: { role: invite.role } });
    await appendEvent(ctx, projectsInviteDeclined, { projectId: project.id, inviteId: invite.id });
    return { ok: true };
  });
}
