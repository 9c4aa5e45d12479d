import { schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import { desc } from "drizzle-orm";
import type { ServiceContext } from "../../context.ts";
import { requireService } from "../../permissions.ts";

const { statusSelfTests } = schema;

export const SELF_TEST_EVERY_MS = 5 * 60_000;
/** After one that failed, to tell an outage from a lost packet. */
export const SELF_TEST_AGAIN_MS = 60_000;
/** Longer than any walk takes: whoever claimed it has died. */
export const SELF_TEST_ABANDONED_MS = 4 * 60_000;

export type SelfTestRow = typeof statusSelfTests.$inferSelect;

/**
 * Begins a self-test if one is due: five minutes after the last one began, a minute after one that failed. Of several
 * workers that ask at once, one begins.
 * @returns its id; undefined when none is due
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function claimSelfTest({ ctx }: { readonly ctx: ServiceContext }): Promise<string | undefined> {
  requireService(ctx);
  return withTransaction(ctx, async (ctx) => {
    const [last] = await ctx.db.select().from(statusSelfTests).orderBy(desc(statusSelfTests.startedAt)).limit(1);
    if (!isDue(last, ctx.clock.nowMs())) return undefined;
    const id = newId("selfTest");
    await ctx.db.insert(statusSelfTests).values({ id, startedAt: ctx.clock.now(), steps: [] });
    return id;
  });
}

/** Whether the next one may begin, by the one before. */
export function isDue(
  last: Pick<SelfTestRow, "startedAt" | "finishedAt" | "hasPassed"> | undefined,
  nowMs: number,
): boolean {
  if (last === undefined) return true;
  const elapsedMs = nowMs - last.startedAt.getTime();
  if (last.finishedAt === null) return elapsedMs >= SELF_TEST_ABANDONED_MS;
  return elapsedMs >= (last.hasPassed === true ? SELF_TEST_EVERY_MS : SELF_TEST_AGAIN_MS);
}
