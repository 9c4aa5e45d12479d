import type { listInvitesInput, Page, ProjectInvite } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, gt } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";
import { toInvite } from "./invites.ts";

/** The open invitations of a project, newest first, for its admins. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function listInvites({
  ctx,
  input,
}: Verb<z.output<typeof listInvitesInput>>): Promise<Page<ProjectInvite>> {
  const project = await requireMember(ctx, input.projectId, "projects.listInvites");
  const { projectInvites } = schema;
  const rows = await ctx.db
    .select()
    .from(projectInvites)
    .where(
      and(
        eq(projectInvites.projectId, project.id),
        gt(projectInvites.expiresAt, ctx.clock.now()),
        afterCursor(projectInvites.createdAt, projectInvites.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(projectInvites.createdAt, projectInvites.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, toInvite);
}
