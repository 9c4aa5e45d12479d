import type { PipelineStage } from "@tollgate/contracts";
import { usagePipelineRecovered, usagePipelineStalled } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { appendEvent, retryRead, schema, withTransaction } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import { hourFloor } from "@tollgate/kernel";
import { inArray } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

/**
 * No usage is not zero usage. Calls that are made and not folded are neither shown nor charged, and everything looks calm.
 * So gateways say with every renewal how many of their calls wait, and since when nothing was folded; the outbox knows what
 * it has not sent; and what was folded waits for the hourly settlement once its hour is over. A system in which nobody
 * calls has nothing that waits. The calls of a gateway that vanished wait on its disk, for as long as it takes: giving up its
 * leases does not count them.
 */
const STALLED_MS: Readonly<Record<PipelineStage, number>> = {
  fold: 2 * 60_000,
  outbox: 2 * 60_000,
  // Three settlements in a row have left it.
  settlement: 3 * 3_600_000,
};
const STAGES: readonly PipelineStage[] = ["fold", "outbox", "settlement"];
/** As many charges are looked at, the oldest first: whoever asks often must not read a day's backlog each time. */
const CHARGES_MAX = 10_000;

/** What waits at a stage. */
export interface StageState {
  readonly stage: PipelineStage;
  readonly waiting: number;
  /** How long it has waited without anything going on; 0 when nothing waits. */
  readonly ageMs: number;
  readonly isStalled: boolean;
  /** Runs of gateways that were given up while calls of theirs may be on their disks. */
  readonly vanishedRuns: readonly string[];
}

/** The state of every stage, for metrics and alarms. It changes nothing. */
export async function readPipeline(database: Database, clock: Clock): Promise<StageState[]> {
  const { sql } = database;
  const hour = hourFloor(clock.nowMs());
  const [[fold], [outbox], [settlement]] = await retryRead(() =>
    Promise.all([
      sql`select coalesce(sum(unfolded), 0) as waiting, min(unfolded_since) as since,
            string_agg(id, ' ' order by id) filter (where closed_at is not null) as vanished
          from budget_holders where unfolded_since is not null`,
      sql`select count(*) as waiting, min(created_at) as since from outbox where sent_at is null`,
      sql`select count(*) as waiting, min(greatest(unsettled_since, hour + interval '1 hour')) as since
          from (select hour, unsettled_since from accruals where not is_settled and hour < ${hour}
                order by hour, billing_account_id limit ${CHARGES_MAX}) as due`,
    ]),
  );
  return [stateOf("fold", fold, clock), stateOf("outbox", outbox, clock), stateOf("settlement", settlement, clock)];
}

function stateOf(stage: PipelineStage, row: Record<string, unknown> | undefined, clock: Clock): StageState {
  const since = row?.["since"];
  const ageMs = since instanceof Date ? Math.max(0, clock.nowMs() - since.getTime()) : 0;
  const holders = String(row?.["vanished"] ?? "").match(/\S+/g) ?? [];
  const vanishedRuns = [...new Set(holders.map((id) => id.slice(0, id.lastIndexOf("."))))];
  const isStalled = ageMs > STALLED_MS[stage];
  return { stage, waiting: Number(row?.["waiting"] ?? 0), ageMs, isStalled, vanishedRuns };
}

/**
 * The minutely check: a stage that has begun to stand still is logged as an error and announced, once; when it goes on
 * again, that is announced too. @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but the machinery
 */
export async function checkPipeline({ ctx }: { readonly ctx: ServiceContext }): Promise<StageState[]> {
  requireService(ctx);
  const states = await readPipeline(ctx.database, ctx.clock);
  await withTransaction(ctx, (ctx) => announce(ctx, states), { isIdempotent: true });
  for (const { stage, waiting, ageMs, isStalled, vanishedRuns } of states) {
    if (isStalled)
      ctx.logger.error({ stage, waiting, ageMs, vanishedRuns }, `The pipeline stands still at the ${stage}`);
  }
  return states;
}

async function announce(ctx: ServiceContext, states: readonly StageState[]): Promise<void> {
  const { pipelineStalls } = schema;
  const rows = await ctx.db
    .select()
    .from(pipelineStalls)
    .where(inArray(pipelineStalls.stage, [...STAGES]));
  const known = new Set(rows.map(({ stage }) => stage));
  for (const { stage, waiting, ageMs, isStalled } of states) {
    if (isStalled === known.has(stage)) continue;
    if (isStalled) {
      const since = new Date(ctx.clock.nowMs() - ageMs);
      await ctx.db.insert(pipelineStalls).values({ stage, since });
      await appendEvent(ctx, usagePipelineStalled, { stage, since: since.toISOString(), waiting });
    } else {
      await ctx.db.delete(pipelineStalls).where(inArray(pipelineStalls.stage, [stage]));
      await appendEvent(ctx, usagePipelineRecovered, { stage });
    }
  }
}
