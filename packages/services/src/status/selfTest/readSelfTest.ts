import type { SelfTestResult } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, desc, gte, isNotNull } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";

/** What a run says holds for so long: a little more than until the next one. */
export const VERDICT_VALID_MS = 7 * 60_000;
const { statusSelfTests } = schema;

/** What the last run says, while it holds; null when there is none. Anyone may ask: it names the step and not the reason. */
export async function readSelfTest(ctx: ServiceContext): Promise<SelfTestResult | null> {
  const [row] = await ctx.db
    .select()
    .from(statusSelfTests)
    .where(
      and(
        isNotNull(statusSelfTests.finishedAt),
        gte(statusSelfTests.finishedAt, new Date(ctx.clock.nowMs() - VERDICT_VALID_MS)),
      ),
    )
    .orderBy(desc(statusSelfTests.startedAt))
    .limit(1);
  if (row === undefined || row.finishedAt === null) return null;
  const { finishedAt, hasPassed, failedStep, steps } = row;
  const durationMs = steps.reduce((sum, { ms }) => sum + ms, 0);
  return { hasPassed: hasPassed === true, failedStep, finishedAt, durationMs };
}
