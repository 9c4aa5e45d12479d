import type { Project, setMonthlySpendCapInput } from "@tollgate/contracts";
import { projectsSpendCapChanged } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { writeProjectCap } from "../budgets/spendCaps.ts";
import type { Verb } from "../context.ts";
import { requireMembership, toProject } from "./internal.ts";

const { projects } = schema;

/**
 * Bounds what a project spends in a calendar month (of its billing account's time zone), for those who pay and for admins;
 * null lifts the bound. What was counted of the month so far is part of it, whenever the cap is set; calls that are under way
 * at that moment are not. Gateways follow within a second.
 * @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN
 */
export async function setMonthlySpendCap({
  ctx,
  input,
}: Verb<z.output<typeof setMonthlySpendCapInput>>): Promise<Project> {
  return withTransaction(
    ctx,
    async (ctx) => {
      const { project, own } = await requireMembership(ctx, input.projectId, "projects.setMonthlySpendCap");
      if (project.monthlySpendCapMicros === input.micros) return toProject(project, own.role);
      const change = { monthlySpendCapMicros: input.micros, updatedAt: ctx.clock.now() };
      await ctx.db.update(projects).set(change).where(eq(projects.id, project.id));
      if (input.micros !== null) await writeProjectCap(ctx, project, input.micros);
      await writeAudit(ctx, {
        action: "projects.setMonthlySpendCap",
        subject: project.id,
        before: { monthlySpendCapMicros: project.monthlySpendCapMicros },
        after: { monthlySpendCapMicros: input.micros },
      });
      await appendEvent(ctx, projectsSpendCapChanged, { projectId: project.id });
      return toProject({ ...project, ...change }, own.role);
    },
    { isIdempotent: true },
  );
}
