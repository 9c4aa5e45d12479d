import { schema, withTransaction } from "@tollgate/db";
import { and, desc, eq, isNotNull, isNull, lt, ne } from "drizzle-orm";
import { reportAlert } from "../../alerts/alerts.ts";
import type { ServiceContext, Verb } from "../../context.ts";
import { requireService } from "../../permissions.ts";
import { recordObservations } from "../recordObservations.ts";

const KEPT_MS = 7 * 24 * 3_600_000;
const { statusSelfTests } = schema;

/** How a walk went: its steps in order, and of one that failed, at which and why. */
export interface SelfTestOutcome {
  readonly id: string;
  readonly steps: readonly { readonly name: string; readonly ms: number }[];
  readonly failure: { readonly step: string; readonly error: string } | null;
}

/**
 * Notes how a self-test went, once: it is a component of the status, and the first failure after a success is an alert to
 * operators. Runs of the last week are kept.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function recordSelfTest({ ctx, input }: Verb<SelfTestOutcome>): Promise<void> {
  requireService(ctx);
  const { id, steps, failure } = input;
  const hasPassed = failure === null;
  await withTransaction(
    ctx,
    async (ctx) => {
      const finished = await ctx.db
        .update(statusSelfTests)
        .set({
          finishedAt: ctx.clock.now(),
          hasPassed,
          steps: [...steps],
          failedStep: failure?.step ?? null,
          error: failure?.error ?? null,
        })
        .where(and(eq(statusSelfTests.id, id), isNull(statusSelfTests.finishedAt)))
        .returning({ id: statusSelfTests.id });
      if (finished.length === 0) return;
      const latencyMs = hasPassed ? steps.reduce((sum, { ms }) => sum + ms, 0) : null;
      await recordObservations({ ctx, input: [{ component: "selfTest", hasAnswered: hasPassed, latencyMs }] });
      if (failure !== null && (await hadPassedBefore(ctx, id))) {
        const label = `At ${failure.step}: ${failure.error}`.slice(0, 200);
        const report = { category: "status", action: "selfTestFailed", label, metadata: { selfTestId: id } };
        await reportAlert({ ctx, input: report });
      }
      const before = new Date(ctx.clock.nowMs() - KEPT_MS);
      await ctx.db.delete(statusSelfTests).where(lt(statusSelfTests.startedAt, before));
    },
    { isIdempotent: true },
  );
}

/** Whether the run before went well; so it is before the first run. */
async function hadPassedBefore(ctx: ServiceContext, id: string): Promise<boolean> {
  const [before] = await ctx.db
    .select({ hasPassed: statusSelfTests.hasPassed })
    .from(statusSelfTests)
    .where(and(isNotNull(statusSelfTests.finishedAt), ne(statusSelfTests.id, id)))
    .orderBy(desc(statusSelfTests.startedAt))
    .limit(1);
  return before?.hasPassed !== false;
}
