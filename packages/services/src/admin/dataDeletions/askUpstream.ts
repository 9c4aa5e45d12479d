import type { deleteTenantDataJob } from "@tollgate/contracts";
import { adminTenantDataDeleted, adminTenantDataDeletionFailed } from "@tollgate/contracts";
import type { DataDeletionAttempt } from "@tollgate/db";
import { appendEvent, retryRead, schema, withSqlTransaction, withTransaction, writeAudit } from "@tollgate/db";
import { and, eq, sql } from "drizzle-orm";
import type { z } from "zod";
import type { TokenContext } from "../../customers/index.ts";
import type { Outbound, OutboundResponse } from "../../outbound/index.ts";
import { OutboundError, parseRetryAfter } from "../../outbound/index.ts";
import { requireService } from "../../permissions.ts";
import type { DeletionPlan } from "./planDeletion.ts";
import { planDeletion } from "./planDeletion.ts";

const TIMEOUT_MS = 30_000;
/** A worker that asks has the deletion for so long; longer than the attempt can take. */
const CLAIM_MS = 60_000;
const ATTEMPTS_KEPT = 20;
const { apis, dataDeletions } = schema;

/** `busy`: done with, not due yet, or another worker has it. */
export type DeletionOutcome = "done" | "retry" | "failed" | "skipped" | "busy";

/** A deletion that this process has taken on. */
interface ClaimedDeletion {
  readonly id: string;
  readonly project_id: string;
  readonly api_id: string;
  readonly attempts: number;
}

/**
 * Asks one API once to delete what it holds of a project; the work of one `admin.delete-tenant-data` job. Run twice at once,
 * one of the two asks. What a worker had when it died is asked again a minute later, so an upstream may be asked twice.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function askUpstream({
  ctx,
  input,
  outbound,
}: {
  readonly ctx: TokenContext;
  readonly input: z.output<typeof deleteTenantDataJob.schema>;
  readonly outbound: Outbound;
}): Promise<DeletionOutcome> {
  requireService(ctx);
  const deletion = await claim(ctx, input.deletionId);
  if (deletion === undefined) return "busy";
  const [api] = await retryRead(() =>
    ctx.db.select({ name: apis.name, url: apis.deleteDataUrl }).from(apis).where(eq(apis.id, deletion.api_id)),
  );
  if (api === undefined || api.url === null) {
    await note(ctx, deletion, api?.name ?? "", { kind: "skipped" }, undefined);
    return "skipped";
  }
  const startedAt = ctx.clock.now();
  const startedMs = performance.now();
  const outcome = await send(ctx, outbound, deletion, api.name, api.url);
  const isAnswer = !(outcome instanceof OutboundError);
  const attempt: DataDeletionAttempt = {
    at: startedAt.toISOString(),
    durationMs: Math.round(performance.now() - startedMs),
    status: isAnswer ? outcome.status : null,
    error: isAnswer ? null : outcome.message,
  };
  const now = ctx.clock.now();
  const retryAfterMs = isAnswer ? parseRetryAfter(outcome.headers["retry-after"], now) : undefined;
  const plan = planDeletion({ attempts: deletion.attempts, status: attempt.status, retryAfterMs }, now);
  await note(ctx, deletion, api.name, plan, attempt);
  return plan.kind;
}

async function send(
  ctx: TokenContext,
  outbound: Outbound,
  deletion: ClaimedDeletion,
  api: string,
  url: string,
): Promise<OutboundResponse | OutboundError> {
  const { id: deletionId, project_id: projectId } = deletion;
  const token = await ctx.tokenIssuer.signDataDeletionToken({ projectId, deletionId, api });
  try {
    return await outbound.send({
      url,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ projectId, deletionId, api }),
      timeoutMs: TIMEOUT_MS,
      responseBytesMax: 0,
    });
  } catch (error) {
    if (error instanceof OutboundError) return error;
    throw error;
  }
}

/** READ COMMITTED: it decides on one row, and locks it (docs/decisions/0017-leases-and-the-fold-lock-their-rows.md). */
async function claim(ctx: TokenContext, deletionId: string): Promise<ClaimedDeletion | undefined> {
  const now = ctx.clock.now();
  const until = new Date(now.getTime() + CLAIM_MS);
  const [row] = await withSqlTransaction(
    ctx.database,
    (sql) => sql<ClaimedDeletion[]>`
      update data_deletions set claimed_until = ${until}, attempts = attempts + 1
      where id = ${deletionId} and status = 'pending' and next_attempt_at <= ${now}
        and (claimed_until is null or claimed_until <= ${now})
      returning id, project_id, api_id, attempts`,
    { isLockingItsRows: true },
  );
  return row === undefined ? undefined : { ...row, attempts: Number(row.attempts) };
}

/**
 * Writes down what an attempt came to, and lets go of the deletion. An attempt that no longer has it (an operator has begun
 * it anew, or it took too long) changes nothing, unless the data is gone: that is true whoever was told.
 */
async function note(
  ctx: TokenContext,
  deletion: ClaimedDeletion,
  api: string,
  plan: DeletionPlan | { readonly kind: "skipped" },
  attempt: DataDeletionAttempt | undefined,
): Promise<void> {
  const now = ctx.clock.now();
  const log = JSON.stringify(attempt === undefined ? [] : [attempt]);
  await withTransaction(
    ctx,
    async (ctx) => {
      const isHeld = plan.kind === "done" ? undefined : eq(dataDeletions.attempts, deletion.attempts);
      const [row] = await ctx.db
        .update(dataDeletions)
        .set({
          ...(plan.kind === "retry"
            ? { nextAttemptAt: plan.at }
            : { status: plan.kind, nextAttemptAt: now, completedAt: now }),
          claimedUntil: null,
          attemptLog: sql`
            case when jsonb_array_length(${dataDeletions.attemptLog}) >= ${ATTEMPTS_KEPT}
              then ${dataDeletions.attemptLog} - 0 else ${dataDeletions.attemptLog} end || ${log}::text::jsonb`,
        })
        .where(and(eq(dataDeletions.id, deletion.id), eq(dataDeletions.status, "pending"), isHeld))
        .returning();
      if (row === undefined || plan.kind === "retry") return;
      const { projectId, apiId } = row;
      await writeAudit(ctx, {
        action: "admin.deleteTenantData",
        subject: projectId,
        before: { status: "pending" },
        after: { deletionId: row.id, api, status: plan.kind, attempts: row.attempts },
      });
      const data = { deletionId: row.id, projectId, apiId, api };
      if (plan.kind === "done") await appendEvent(ctx, adminTenantDataDeleted, data);
      if (plan.kind === "failed") await appendEvent(ctx, adminTenantDataDeletionFailed, data);
    },
    { isIdempotent: true },
  );
  if (plan.kind !== "failed") return;
  ctx.logger.error({ deletionId: deletion.id, api, attempt }, "an API does not delete a tenant's data; given up");
}
