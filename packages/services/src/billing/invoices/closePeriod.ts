import type { ClosedPeriod, closePeriodInput, closePeriodsJob } from "@tollgate/contracts";
import { closePeriodsJob as closeJob } from "@tollgate/contracts";
import { appendJob, schema, withTransaction } from "@tollgate/db";
import { badRequest, chunksOf } from "@tollgate/kernel";
import { and, asc, desc, eq, gt, lte, sql } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../../context.ts";
import { requireAccountAdmin, requireAdmin, requireService } from "../../permissions.ts";
import { gatherAccounts } from "./accountFacts.ts";
import { closeDuePeriods, findDuePeriod } from "./closeDuePeriods.ts";
import { toInvoice } from "./internal.ts";

/**
 * An operator closes an account's periods that had ended by an instant, each into one invoice. What is closed already
 * stays as it is, so asking again changes nothing and gets the same invoice.
 * @throws TollgateError NOT_FOUND; BAD_REQUEST for an instant to come; UNAUTHORIZED, FORBIDDEN
 */
export async function closePeriod({ ctx, input }: Verb<z.output<typeof closePeriodInput>>): Promise<ClosedPeriod> {
  requireAdmin(ctx);
  await requireAccountAdmin(ctx, input.billingAccountId, { orAdmin: true });
  if (input.at.getTime() > ctx.clock.nowMs()) {
    throw badRequest("Only the past can be closed", { issues: [{ path: "at", message: "Must not be in the future" }] });
  }
  const closed = await closeAll(ctx, [input.billingAccountId], input.at);
  const { invoices } = schema;
  const [last] = await ctx.db
    .select()
    .from(invoices)
    .where(
      and(
        eq(invoices.billingAccountId, input.billingAccountId),
        eq(invoices.kind, "usage"),
        lte(invoices.periodEnd, input.at),
      ),
    )
    .orderBy(desc(invoices.periodEnd))
    .limit(1);
  return { closed, invoice: last === undefined ? null : await toInvoice(ctx, last) };
}

/** The work of one `billing.close-periods` job. */
export async function closePeriods({
  ctx,
  input,
}: Verb<z.output<typeof closePeriodsJob.schema>>): Promise<{ readonly closed: number }> {
  requireService(ctx);
  return { closed: await closeAll(ctx, input.billingAccountIds, new Date(input.at)) };
}

async function closeAll(ctx: ServiceContext, billingAccountIds: readonly string[], at: Date): Promise<number> {
  let closed = 0;
  // Usually one round; more after a long outage.
  for (let isMore = true; isMore; ) {
    const round = await closeDuePeriods(ctx, billingAccountIds, at);
    closed += round.closed;
    isMore = round.isMore;
  }
  return closed;
}

const ACCOUNTS_PER_JOB = 50;
const ACCOUNTS_PER_PAGE = 1_000;

/**
 * The hourly sweep: orders the closing of every account whose period has ended and that has a wallet; an account that
 * never had one has nothing to be invoiced.
 */
export async function closeDueAccounts({
  ctx,
}: {
  readonly ctx: ServiceContext;
}): Promise<{ readonly accounts: number }> {
  requireService(ctx);
  const { budgets } = schema;
  const at = ctx.clock.now();
  let accounts = 0;
  for (let after: string | undefined = ""; after !== undefined; ) {
    const start: string = after;
    const page = await withTransaction(
      ctx,
      async (ctx) => {
        const rows = await ctx.db
          .select({ id: budgets.billingAccountId })
          .from(budgets)
          .where(and(eq(budgets.kind, sql`'wallet'`), gt(budgets.billingAccountId, start)))
          .orderBy(asc(budgets.billingAccountId))
          .limit(ACCOUNTS_PER_PAGE);
        const facts = await gatherAccounts(
          ctx,
          rows.map((row) => row.id),
        );
        const due = facts.filter((account) => findDuePeriod(account, at) !== undefined).map((account) => account.id);
        for (const billingAccountIds of chunksOf(due, ACCOUNTS_PER_JOB)) {
          await appendJob(ctx, closeJob, { billingAccountIds, at: at.toISOString() });
        }
        return { due: due.length, last: rows.length === ACCOUNTS_PER_PAGE ? rows.at(-1)?.id : undefined };
      },
      { isIdempotent: true },
    );
    accounts += page.due;
    after = page.last;
  }
  return { accounts };
}
