import { settleJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { chunksOf, hourFloor } from "@tollgate/kernel";
import { and, asc, gt, isNotNull, lt, lte, not, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";

/** Accounts that one job settles, and accounts that one transaction of a sweep finds. */
const ACCOUNTS_PER_JOB = 50;
const ACCOUNTS_PER_PAGE = 2_000;

interface SweepResult {
  readonly accounts: number;
}

/** The hourly sweep: orders the settlement of every account that has unposted usage of past hours. */
export async function settleDueAccounts({ ctx }: { readonly ctx: ServiceContext }): Promise<SweepResult> {
  requireService(ctx);
  const { accruals } = schema;
  const before = hourFloor(ctx.clock.nowMs());
  return sweep(ctx, before, (ctx, after) =>
    ctx.db
      .selectDistinct({ id: accruals.billingAccountId })
      .from(accruals)
      .where(and(lt(accruals.hour, before), not(accruals.isSettled), gt(accruals.billingAccountId, after)))
      .orderBy(asc(accruals.billingAccountId))
      .limit(ACCOUNTS_PER_PAGE),
  );
}

/**
 * The hourly sweep of expired credit. Taking credit off is a settlement: the usage of its hours comes first, so that
 * nothing expires that was spent.
 */
export async function expireGrants({ ctx }: { readonly ctx: ServiceContext }): Promise<SweepResult> {
  requireService(ctx);
  const { grants } = schema;
  const before = hourFloor(ctx.clock.nowMs());
  return sweep(ctx, before, (ctx, after) =>
    ctx.db
      .selectDistinct({ id: grants.billingAccountId })
      .from(grants)
      .where(
        and(
          gt(grants.remainingMicros, sql`0`),
          isNotNull(grants.expiresAt),
          lte(grants.expiresAt, before),
          gt(grants.billingAccountId, after),
        ),
      )
      .orderBy(asc(grants.billingAccountId))
      .limit(ACCOUNTS_PER_PAGE),
  );
}

type FindPage = (ctx: ServiceContext, after: string) => PromiseLike<{ id: string }[]>;

/** Goes through the accounts page by page; each page is one transaction that leaves its jobs in the outbox. */
async function sweep(ctx: ServiceContext, before: Date, findPage: FindPage): Promise<SweepResult> {
  let accounts = 0;
  for (let after: string | undefined = ""; after !== undefined; ) {
    const start: string = after;
    const ids = await withTransaction(
      ctx,
      async (ctx) => {
        const page = (await findPage(ctx, start)).map((row) => row.id);
        for (const billingAccountIds of chunksOf(page, ACCOUNTS_PER_JOB)) {
          await appendJob(ctx, settleJob, { billingAccountIds, before: before.toISOString() });
        }
        return page;
      },
      { isIdempotent: true },
    );
    accounts += ids.length;
    after = ids.length === ACCOUNTS_PER_PAGE ? ids.at(-1) : undefined;
  }
  return { accounts };
}
