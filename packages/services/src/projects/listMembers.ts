import type { listMembersInput, Page, ProjectMember } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireMember } from "../permissions.ts";

const { customers, projectMembers } = schema;

/** Who is in a project and as what, newest first, for its members. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function listMembers({
  ctx,
  input,
}: Verb<z.output<typeof listMembersInput>>): Promise<Page<ProjectMember>> {
  const project = await requireMember(ctx, input.projectId, "projects.listMembers");
  const rows = await ctx.db
    .select({ member: projectMembers, email: customers.email, name: customers.name })
    .from(projectMembers)
    .innerJoin(customers, eq(customers.id, projectMembers.customerId))
    .where(
      and(
        eq(projectMembers.projectId, project.id),
        afterCursor(projectMembers.createdAt, projectMembers.customerId, input.cursor),
      ),
    )
    .orderBy(...newestFirst(projectMembers.createdAt, projectMembers.customerId))
    .limit(input.limit + 1);
  return toPage(
    rows.map(({ member, ...person }) => ({
      createdAt: member.createdAt,
      id: member.customerId,
      role: member.role,
      ...person,
    })),
    input.limit,
    ({ id, createdAt, email, name, role }) => ({ customerId: id, email, name, role, joinedAt: createdAt }),
  );
}
