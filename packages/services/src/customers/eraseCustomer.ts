import type { eraseCustomerJob } from "@tollgate/contracts";
import { retryRead, schema, withTransaction } from "@tollgate/db";
import { and, eq, sql } from "drizzle-orm";
import type { z } from "zod";
import type { ServiceContext } from "../context.ts";
import { requireService } from "../permissions.ts";
import type { ErasurePorts } from "./erasure/ports.ts";
import type { ErasureStep, StepDetail, StepDetails } from "./erasure/steps.ts";
import { ERASURE_STEPS } from "./erasure/steps.ts";
import type { CustomerRow } from "./internal.ts";
import { findCustomer } from "./internal.ts";

const ERROR_CHARACTERS_MAX = 500;
const { erasureSteps, erasures } = schema;

/** `waiting`: the day has not come, or nobody asked for an erasure. */
export type ErasureOutcome = "erased" | "waiting";

/**
 * Erases a deleted customer whose day has come, step by step; the work of one `customers.erase` job. A step inside the
 * database is done in the transaction that says so, a step beyond it until it has succeeded. Cut at any point, or run
 * twice at once, it goes on with the first step that is not done. A step that fails is noted with its error and thrown.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function eraseCustomer({
  ctx,
  input,
  ports,
}: {
  readonly ctx: ServiceContext;
  readonly input: z.output<typeof eraseCustomerJob.schema>;
  readonly ports: ErasurePorts;
}): Promise<ErasureOutcome> {
  requireService(ctx);
  const { customerId } = input;
  const [erasure] = await retryRead(() => ctx.db.select().from(erasures).where(eq(erasures.customerId, customerId)));
  if (erasure === undefined || erasure.dueAt > ctx.clock.now()) return "waiting";
  if (erasure.finishedAt !== null) return "erased";
  const customer = await retryRead(() => findCustomer(ctx, { id: customerId }));
  if (customer?.status !== "deleted") throw new Error(`${customerId} is to be erased and is not deleted`);
  await addMissingSteps(ctx, customerId);
  for (const step of ERASURE_STEPS) {
    try {
      await runStep(ctx, customer, step, ports);
    } catch (error) {
      await noteFailure(ctx, customerId, step, error);
      throw error;
    }
  }
  return "erased";
}

/** A step that came with a later version than the deletion. */
async function addMissingSteps(ctx: ServiceContext, customerId: string): Promise<void> {
  await withTransaction(
    ctx,
    async (ctx) => {
      await ctx.db
        .insert(erasureSteps)
        .values(ERASURE_STEPS.map((step) => ({ customerId, step: step.name, status: "pending" as const })))
        .onConflictDoNothing();
    },
    { isIdempotent: true },
  );
}

async function runStep(
  ctx: ServiceContext,
  customer: CustomerRow,
  step: ErasureStep,
  ports: ErasurePorts,
): Promise<void> {
  if (step.kind === "inner") {
    await withTransaction(
      ctx,
      async (ctx) => {
        if (await isPending(ctx, customer.id, step))
          await finish(ctx, customer.id, step, await step.run(ctx, customer));
      },
      { isIdempotent: true },
    );
    return;
  }
  if (!(await retryRead(() => isPending(ctx, customer.id, step)))) return;
  const details = await retryRead(() => readDetails(ctx, customer.id));
  const detail = await step.run(ctx, customer, ports, details);
  await withTransaction(ctx, (ctx) => finish(ctx, customer.id, step, detail), { isIdempotent: true });
}

const isStep = (customerId: string, step: ErasureStep) =>
  and(eq(erasureSteps.customerId, customerId), eq(erasureSteps.step, step.name));

async function isPending(ctx: ServiceContext, customerId: string, step: ErasureStep): Promise<boolean> {
  const [row] = await ctx.db.select({ status: erasureSteps.status }).from(erasureSteps).where(isStep(customerId, step));
  return row?.status === "pending";
}

async function finish(
  ctx: ServiceContext,
  customerId: string,
  step: ErasureStep,
  detail: StepDetail | null,
): Promise<void> {
  await ctx.db
    .update(erasureSteps)
    .set({
      status: detail === null ? "skipped" : "done",
      attempts: sql`${erasureSteps.attempts} + 1`,
      lastError: null,
      detail,
      finishedAt: ctx.clock.now(),
    })
    .where(and(isStep(customerId, step), eq(erasureSteps.status, "pending")));
}

async function readDetails(ctx: ServiceContext, customerId: string): Promise<StepDetails> {
  const rows = await ctx.db
    .select({ step: erasureSteps.step, detail: erasureSteps.detail })
    .from(erasureSteps)
    .where(eq(erasureSteps.customerId, customerId));
  return new Map(rows.flatMap((row) => (row.detail === null ? [] : [[row.step, row.detail]])));
}

/** What went wrong stays with the step, for the operator; the error itself goes on to whoever ran the job. */
async function noteFailure(
  ctx: ServiceContext,
  customerId: string,
  step: ErasureStep,
  failure: unknown,
): Promise<void> {
  const lastError = describe(failure).slice(0, ERROR_CHARACTERS_MAX);
  try {
    await withTransaction(ctx, async (ctx) => {
      await ctx.db
        .update(erasureSteps)
        .set({ attempts: sql`${erasureSteps.attempts} + 1`, lastError })
        .where(and(isStep(customerId, step), eq(erasureSteps.status, "pending")));
    });
  } catch (error) {
    // The database may be what failed; the first failure is the one to tell of.
    ctx.logger.warn({ err: error, customerId, step: step.name }, "A failed step of an erasure could not be noted");
  }
}

/** The innermost cause: what is wrapped around a database's own message quotes the values of the statement. */
function describe(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  return failure.cause instanceof Error ? describe(failure.cause) : failure.message;
}
