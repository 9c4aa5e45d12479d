import type { listProjectsInput, Page, Project } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, eq, isNull } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireCustomer } from "../permissions.ts";
import { toProject } from "./internal.ts";

/** The projects that the caller is a member of, newest first. @throws TollgateError UNAUTHORIZED */
export async function listProjects({ ctx, input }: Verb<z.output<typeof listProjectsInput>>): Promise<Page<Project>> {
  const { customerId } = requireCustomer(ctx);
  const { projectMembers, projects } = schema;
  const rows = await ctx.db
    .select({ project: projects, role: projectMembers.role })
    .from(projectMembers)
    .innerJoin(projects, eq(projects.id, projectMembers.projectId))
    .where(
      and(
        eq(projectMembers.customerId, customerId),
        isNull(projects.deletedAt),
        afterCursor(projects.createdAt, projects.id, input.cursor),
      ),
    )
    .orderBy(...newestFirst(projects.createdAt, projects.id))
    .limit(input.limit + 1);
  return toPage(
    rows.map(({ project, role }) => ({ createdAt: project.createdAt, id: project.id, project, role })),
    input.limit,
    ({ project, role }) => toProject(project, role),
  );
}
