import { schema } from "@tollgate/db";
import type { Micros } from "@tollgate/kernel";
import { monthPeriod } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { and, eq, gte, inArray, sql } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";
import { keyCapBudgetId, projectCapBudgetId } from "./budgetIds.ts";
import type { BudgetKind } from "./leaseBudgets.ts";

/**
 * Caps that are set while a month is under way. What the month has cost so far counts: its budget begins with the charges
 * that were folded. A call that was admitted under the cap names the budget, and the fold adds it there, in the transaction
 * that adds its charge; so nothing is counted twice.
 *
 * What is left out are the calls under way just then: admitted by gateways that did not know of the cap, and not folded yet.
 * They name no cap, so its budget never hears of them. That is what was called within a second or two, and as much as waits
 * to be folded while that stands still; the cap then bounds what comes after. To take them in, every fold would have to ask
 * for caps of projects whose calls name none, under the wallet's lock, for the sake of the seconds in which a cap is new.
 */
const { billingAccounts, budgets, keys, usageHourly } = schema;

interface CappedProject {
  readonly id: string;
  readonly billingAccountId: string;
}

/** Writes this month's budget of a project's cap, inside the transaction that sets the cap. */
export async function writeProjectCap(ctx: ServiceContext, project: CappedProject, cap: Micros): Promise<void> {
  await writeCap(ctx, project, "project_cap", (month) => projectCapBudgetId(project.id, month), cap, undefined);
}

/** Writes this month's budget of the cap that the keys of a rotation chain share, inside the transaction that sets it. */
export async function writeKeyCap(
  ctx: ServiceContext,
  project: CappedProject,
  rootKeyId: string,
  cap: Micros,
): Promise<void> {
  const chain = ctx.db.select({ id: keys.id }).from(keys).where(eq(keys.rootKeyId, rootKeyId));
  const isOfChain = inArray(usageHourly.keyId, chain);
  await writeCap(ctx, project, "key_cap", (month) => keyCapBudgetId(rootKeyId, month), cap, isOfChain);
}

async function writeCap(
  ctx: ServiceContext,
  project: CappedProject,
  kind: BudgetKind,
  idOf: (month: string) => string,
  cap: Micros,
  which: SQL | undefined,
): Promise<void> {
  const [account] = await ctx.db
    .select({ timeZone: billingAccounts.timeZone })
    .from(billingAccounts)
    .where(eq(billingAccounts.id, project.billingAccountId));
  if (account === undefined) throw new Error(`The project ${project.id} has no billing account`);
  const month = monthPeriod(ctx.clock.nowMs(), account.timeZone);
  const [spent] = await ctx.db
    .select({ micros: sql<string>`coalesce(sum(${usageHourly.chargedMicros}), 0)` })
    .from(usageHourly)
    .where(and(eq(usageHourly.projectId, project.id), gte(usageHourly.hour, new Date(month.startMs)), which));
  const used = BigInt(spent?.micros ?? "0");
  const now = ctx.clock.now();
  await ctx.db
    .insert(budgets)
    .values({
      id: idOf(month.id),
      kind,
      billingAccountId: project.billingAccountId,
      limitAmount: cap,
      used,
      createdAt: now,
      updatedAt: now,
    })
    .onConflictDoUpdate({
      target: budgets.id,
      set: { limitAmount: cap, used: sql`greatest(${budgets.used}, ${used.toString()}::int8)`, updatedAt: now },
    });
}
