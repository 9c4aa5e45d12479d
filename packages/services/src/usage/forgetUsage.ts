import type { SqlTransaction } from "@tollgate/db";
import { withSqlTransaction } from "@tollgate/db";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import { CALLS_KEPT_MS } from "./internal.ts";

/** Rows a transaction: none is long, and a sweep that was cut goes on where it was at its next run. */
const BATCH = 2_000;
const DAY_MS = 86_400_000;
/** As long as a repeated event is recognised. */
const EVENTS_KEPT_MS = 35 * DAY_MS;
/** A call is folded after it began, so every call that is kept has its batch. */
const BATCHES_KEPT_MS = 35 * DAY_MS;
const SENT_EMAILS_KEPT_MS = 90 * DAY_MS;

export interface Forgotten {
  readonly calls: number;
  readonly batches: number;
  readonly events: number;
  readonly emails: number;
}

/**
 * Deletes what is older than it is kept: single calls (30 days), the batches they came in and reported events (35), sent
 * mails (90). Hourly usage, counts of events and the ledger stay.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN to anyone but the machinery
 */
export async function forgetUsage({ ctx }: { readonly ctx: ServiceContext }): Promise<Forgotten> {
  requireService(ctx);
  const ago = (ms: number): Date => new Date(ctx.clock.nowMs() - ms);
  return {
    calls: await forgetCalls(ctx, ago(CALLS_KEPT_MS)),
    batches: await inBatches(ctx, (sql) => {
      const before = ago(BATCHES_KEPT_MS);
      return sql`
        delete from usage_batches where (source, sequence) in (
          select source, sequence from usage_batches where folded_at < ${before} order by folded_at limit ${BATCH})
        returning 1`;
    }),
    events: await forgetEvents(ctx, ago(EVENTS_KEPT_MS)),
    emails: await inBatches(ctx, (sql) => {
      const before = ago(SENT_EMAILS_KEPT_MS);
      return sql`
        delete from emails where id in (
          select id from emails where created_at < ${before} and status in ('sent', 'suppressed', 'failed')
          order by created_at limit ${BATCH})
        returning 1`;
    }),
  };
}

/** Project by project, each by the beginning of its key: the oldest calls are found without looking at the others. */
async function forgetCalls(ctx: ServiceContext, before: Date): Promise<number> {
  const { sql } = ctx.database;
  let forgotten = 0;
  let projectId = "";
  for (;;) {
    const [next] = await sql`
      select project_id from calls where project_id > ${projectId} order by project_id limit 1`;
    if (next === undefined) return forgotten;
    projectId = String(next["project_id"]);
    forgotten += await inBatches(
      ctx,
      (sql) => sql`
        delete from calls where project_id = ${projectId} and (started_at, id) in (
          select started_at, id from calls where project_id = ${projectId} and started_at < ${before}
          order by started_at, id limit ${BATCH})
        returning 1`,
    );
  }
}

async function forgetEvents(ctx: ServiceContext, before: Date): Promise<number> {
  const { sql } = ctx.database;
  let forgotten = 0;
  let place = { projectId: "", type: "" };
  for (;;) {
    const [next] = await sql`
      select project_id, type from reported_events
      where (project_id, type) > (${place.projectId}, ${place.type}) order by project_id, type limit 1`;
    if (next === undefined) return forgotten;
    const { projectId, type } = { projectId: String(next["project_id"]), type: String(next["type"]) };
    place = { projectId, type };
    forgotten += await inBatches(
      ctx,
      (sql) => sql`
        delete from reported_events where key in (
          select key from reported_events where project_id = ${projectId} and type = ${type} and received_at < ${before}
          order by received_at, key limit ${BATCH})
        returning 1`,
    );
  }
}

async function inBatches(
  ctx: ServiceContext,
  deleteSome: (sql: SqlTransaction) => PromiseLike<readonly unknown[]>,
): Promise<number> {
  let deleted = 0;
  for (let batch = BATCH; batch === BATCH; deleted += batch) {
    batch = (await withSqlTransaction(ctx.database, async (sql) => deleteSome(sql), { isIdempotent: true })).length;
  }
  return deleted;
}
