import type { Done, leaveProjectInput } from "@tollgate/contracts";
import { withTransaction } from "@tollgate/db";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMembership } from "./internal.ts";
import { endMembership } from "./removeMember.ts";

/** The caller leaves a project. @throws TollgateError UNAUTHORIZED, NOT_FOUND; CONFLICT `last_owner` */
export async function leaveProject({ ctx, input }: Verb<z.output<typeof leaveProjectInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const { own } = await requireMembership(ctx, input.projectId, "projects.leave");
    await endMembership(ctx, "projects.leave", own);
    return { ok: true };
  });
}
