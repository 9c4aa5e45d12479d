import type { Project, renameProjectInput } from "@tollgate/contracts";
import { projectsRenamed } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireMembership, toProject } from "./internal.ts";

/** Gives a project another name, for its admins. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function renameProject({ ctx, input }: Verb<z.output<typeof renameProjectInput>>): Promise<Project> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const { project, own } = await requireMembership(ctx, input.id, "projects.rename");
      if (project.name === input.name) return toProject(project, own.role);
      const change = { name: input.name, updatedAt: ctx.clock.now() };
      await ctx.db.update(schema.projects).set(change).where(eq(schema.projects.id, project.id));
      await writeAudit(ctx, {
        action: "projects.rename",
        subject: project.id,
        before: { name: project.name },
        after: { name: input.name },
      });
      await appendEvent(ctx, projectsRenamed, { projectId: project.id, name: input.name });
      return toProject({ ...project, ...change }, own.role);
    },
    { isIdempotent: true },
  );
}
