import type { customerIdInput, Erasure } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { notFound } from "@tollgate/kernel";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { requireAdmin } from "../permissions.ts";
import { ERASURE_STEPS } from "./erasure/steps.ts";

/** How far the erasure of a deleted customer is, for operators. @throws TollgateError UNAUTHORIZED, FORBIDDEN, NOT_FOUND */
export async function readErasure({ ctx, input }: Verb<z.output<typeof customerIdInput>>): Promise<Erasure> {
  requireAdmin(ctx);
  const { erasureSteps, erasures } = schema;
  const [erasure] = await ctx.db.select().from(erasures).where(eq(erasures.customerId, input.id));
  if (erasure === undefined) throw notFound("erasure");
  const steps = await ctx.db.select().from(erasureSteps).where(eq(erasureSteps.customerId, input.id));
  const order = ERASURE_STEPS.map((step) => step.name);
  return {
    customerId: erasure.customerId,
    createdAt: erasure.createdAt,
    dueAt: erasure.dueAt,
    finishedAt: erasure.finishedAt,
    steps: steps
      .toSorted((one, other) => order.indexOf(one.step) - order.indexOf(other.step))
      .map(({ step, status, attempts, lastError, detail, finishedAt }) => ({
        step,
        status,
        attempts,
        lastError,
        detail,
        finishedAt,
      })),
  };
}
