import type { Done, projectIdInput } from "@tollgate/contracts";
import { projectsDeleted } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { revokeProjectKeys } from "../keys/revokeProjectKeys.ts";
import { requireMembership } from "./internal.ts";

const { projectInvites, projects } = schema;

/**
 * Ends a project for good, for its owners. Its keys are revoked in the same transaction, so gateways drop them at once
 * and give back what they held for calls to come; usage, ledger and the billing account with its credit stay. It may be
 * the caller's last project: another can be made. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function deleteProject({ ctx, input }: Verb<z.output<typeof projectIdInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const { project } = await requireMembership(ctx, input.id, "projects.delete");
    const now = ctx.clock.now();
    await ctx.db.update(projects).set({ deletedAt: now, updatedAt: now }).where(eq(projects.id, project.id));
    await ctx.db.delete(projectInvites).where(eq(projectInvites.projectId, project.id));
    const revoked = await revokeProjectKeys(ctx, project.id);
    await writeAudit(ctx, {
      action: "projects.delete",
      subject: project.id,
      before: { name: project.name, billingAccountId: project.billingAccountId },
      after: { keysRevoked: revoked.length },
    });
    await appendEvent(ctx, projectsDeleted, { projectId: project.id, billingAccountId: project.billingAccountId });
    return { ok: true };
  });
}
