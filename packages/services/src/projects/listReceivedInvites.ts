import type { listReceivedInvitesInput, Page, ReceivedInvite } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, gt, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireCustomer } from "../permissions.ts";
import { toInvite } from "./invites.ts";

/** The open invitations to the caller's address, newest first. @throws TollgateError UNAUTHORIZED */
export async function listReceivedInvites({
  ctx,
  input,
}: Verb<z.output<typeof listReceivedInvitesInput>>): Promise<Page<ReceivedInvite>> {
  const { customerId } = requireCustomer(ctx);
  const { customers, projectInvites, projects } = schema;
  const rows = await ctx.db
    .select({ invite: projectInvites, projectName: projects.name })
    .from(customers)
    .innerJoin(projectInvites, eq(projectInvites.email, customers.email))
    .innerJoin(projects, eq(projects.id, projectInvites.projectId))
    .where(
      and(
        eq(customers.id, customerId),
        eq(customers.status, "verified"),
        gt(projectInvites.expiresAt, ctx.clock.now()),
        isNull(projects.deletedAt),
        afterCursor(projectInvites.createdAt, projectInvites.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(projectInvites.createdAt, projectInvites.id))
    .limit(input.limit + 1);
  return toPage(
    rows.map(({ invite, projectName }) => ({ createdAt: invite.createdAt, id: invite.id, invite, projectName })),
    input.limit,
    ({ invite, projectName }) => ({ ...toInvite(invite), projectName }),
  );
}
