import { projectsDeleted, projectsMemberLeft } from "@tollgate/contracts";
import { appendEvent, schema, writeAudit } from "@tollgate/db";
import { eq, inArray } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import type { CustomerRow } from "../internal.ts";
import { findOwnedAlone } from "../ownedAlone.ts";
import type { StepDetail } from "./steps.ts";

/** Projects that are left without an owner end, nameless and without members; the person leaves all others. */
export async function eraseProjects(ctx: ServiceContext, customer: CustomerRow): Promise<StepDetail> {
  const { projectInvites, projectMembers, projects } = schema;
  const projectIds = await findOwnedAlone(ctx, customer.id);
  if (projectIds.length > 0) {
    const now = ctx.clock.now();
    const ended = await ctx.db
      .update(projects)
      .set({ name: "Erased", deletedAt: now, updatedAt: now })
      .where(inArray(projects.id, projectIds))
      .returning();
    await ctx.db.delete(projectInvites).where(inArray(projectInvites.projectId, projectIds));
    await ctx.db.delete(projectMembers).where(inArray(projectMembers.projectId, projectIds));
    for (const project of ended) {
      await writeAudit(ctx, { action: "projects.delete", subject: project.id, after: { status: "erased" } });
      const { id: projectId, billingAccountId } = project;
      await appendEvent(ctx, projectsDeleted, { projectId, billingAccountId });
    }
  }
  const left = await ctx.db
    .delete(projectMembers)
    .where(eq(projectMembers.customerId, customer.id))
    .returning({ projectId: projectMembers.projectId });
  for (const { projectId } of left) await appendEvent(ctx, projectsMemberLeft, { projectId, customerId: customer.id });
  return { projectIds, left: left.length };
}
