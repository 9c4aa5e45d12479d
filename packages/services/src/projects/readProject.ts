import type { Project, projectIdInput } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { and, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireCustomer, requireMember } from "../permissions.ts";
import { toProject } from "./internal.ts";

/** One project, for its members. @throws TollgateError UNAUTHORIZED, NOT_FOUND */
export async function readProject({ ctx, input }: Verb<z.output<typeof projectIdInput>>): Promise<Project> {
  const { customerId } = requireCustomer(ctx);
  const project = await requireMember(ctx, input.id, "projects.read");
  const { projectMembers } = schema;
  const [membership] = await ctx.db
    .select({ role: projectMembers.role })
    .from(projectMembers)
    .where(and(eq(projectMembers.projectId, project.id), eq(projectMembers.customerId, customerId)));
  // The membership may have ended between the two reads.
  if (membership === undefined) throw notFound("project");
  return toProject(project, membership.role);
}
