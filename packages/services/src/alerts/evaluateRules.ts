import { alertsFired, alertsResolved } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction } from "@tollgate/db";
import { newId } from "@tollgate/kernel";
import type { SQL } from "drizzle-orm";
import { and, asc, eq, exists, isNull, lte, or, sql } from "drizzle-orm";
import { readBalance } from "../balance/index.ts";
import type { ServiceContext } from "../context.ts";
import { queueEmail } from "../emails/queueEmail.ts";
import { formatUnits } from "../notifications/formatUnits.ts";
import { requireService } from "../permissions.ts";
import type { AlertRow, RuleRow } from "./internal.ts";
import { isTheirs, ownerOf, sealChannels, targetOf, unsealChannels } from "./internal.ts";
import { planRule } from "./planRule.ts";

const RULES_AT_ONCE = 1_000;
const AGAIN_AFTER_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
const { alertMessages, alertRules: rules, alerts } = schema;

/**
 * Looks at the rules whose turn it is: one firing for each crossing, and one word when it is over. Each rule is a
 * transaction of its own, so two sweeps at once fire once, and one that cannot be looked at holds up no other.
 * @throws TollgateError UNAUTHORIZED, FORBIDDEN for anyone but a worker
 */
export async function evaluateRules({ ctx }: { readonly ctx: ServiceContext }): Promise<{ readonly changed: number }> {
  requireService(ctx);
  let changed = 0;
  for (let due = await findDue(ctx); due.length > 0; due = await findDue(ctx)) {
    for (const { id } of due) {
      try {
        if (await withTransaction(ctx, (ctx) => evaluate(ctx, id), { isIdempotent: true })) changed += 1;
      } catch (error) {
        ctx.logger.error(
          { err: error, ruleId: id },
          "an alert rule cannot be looked at; it is left until the next time",
        );
        await ctx.db.update(rules).set({ evaluatedAt: ctx.clock.now() }).where(eq(rules.id, id));
      }
    }
  }
  return { changed };
}

/** A project that was deleted is silent for good, and nobody wants to be told. */
async function findDue(ctx: ServiceContext): Promise<readonly { readonly id: string }[]> {
  const before = new Date(ctx.clock.nowMs() - AGAIN_AFTER_MS);
  const { projects } = schema;
  const living = ctx.db
    .select({ one: sql`1` })
    .from(projects)
    .where(and(eq(projects.id, rules.projectId), isNull(projects.deletedAt)));
  return ctx.db
    .select({ id: rules.id })
    .from(rules)
    .where(
      and(
        eq(rules.isEnabled, true),
        or(isNull(rules.evaluatedAt), lte(rules.evaluatedAt, before)),
        or(isNull(rules.projectId), exists(living)),
      ),
    )
    .orderBy(asc(rules.id))
    .limit(RULES_AT_ONCE);
}

async function evaluate(ctx: ServiceContext, ruleId: string): Promise<boolean> {
  const [rule] = await ctx.db.select().from(rules).where(eq(rules.id, ruleId));
  if (rule === undefined || !rule.isEnabled) return false;
  const measured = await measure(ctx, rule);
  const threshold = rule.kind === "errorRateAbove" ? (rule.thresholdPercent ?? 0) : Number(rule.thresholdMicros ?? 0n);
  const plan = planRule({ kind: rule.kind, state: rule.state, threshold, measured });
  const state = plan.kind === "become" ? plan.state : rule.state;
  await ctx.db.update(rules).set({ state, evaluatedAt: ctx.clock.now() }).where(eq(rules.id, rule.id));
  if (plan.kind === "stay") return false;
  if (plan.state === "firing") await fire(ctx, rule, measured ?? 0);
  else if (rule.state === "firing") await resolve(ctx, rule, measured ?? 0);
  return plan.state === "firing" || rule.state === "firing";
}

/** What a rule looks at. Null where there is nothing to tell by: a project that was never called is not silent. */
async function measure(ctx: ServiceContext, rule: RuleRow): Promise<number | null> {
  if (rule.kind === "balanceBelow") {
    const { available } = await readBalance({ ctx, input: { billingAccountId: rule.billingAccountId ?? "" } });
    return Number(available);
  }
  const usage = await readWindow(ctx, rule);
  switch (rule.kind) {
    case "spendAbove":
      return usage.chargedMicros;
    case "noUsage":
      return usage.wasUsed ? usage.callsTouched : null;
    case "errorRateAbove":
      return usage.calls === 0 ? null : (usage.errors / usage.calls) * 100;
  }
}

interface WindowUsage {
  readonly calls: number;
  readonly errors: number;
  readonly chargedMicros: number;
  /** Calls of every hour that the window reaches into. */
  readonly callsTouched: number;
  /** Whether there was ever a call, in the window or before. */
  readonly wasUsed: boolean;
}

/**
 * What was used in a rule's window. Usage is counted by the hour, so of the hour in which the window begins as large a part
 * is taken as the window has of it: without it, what happens just before an hour ends would be seen by nobody.
 */
async function readWindow(ctx: ServiceContext, rule: RuleRow): Promise<WindowUsage> {
  const owner =
    rule.projectId === null
      ? sql`project_id in (select id from projects where billing_account_id = ${rule.billingAccountId})`
      : sql`project_id = ${rule.projectId}`;
  const sinceMs = ctx.clock.nowMs() - rule.windowHours * HOUR_MS;
  // Where the accounts are, hours begin at any time; but the one in which the window begins began less than an hour before.
  const since = sql`${new Date(sinceMs).toISOString()}::timestamptz`;
  const edge = sql`${new Date(sinceMs - HOUR_MS).toISOString()}::timestamptz`;
  const isError = sql`case when status >= 500 then calls else 0 end`;
  const rows = await ctx.db.execute<{ edge_ms: string | null; calls: string; errors: string; charged: string }>(sql`
    select case when hour <= ${since} then extract(epoch from hour) * 1000 end as edge_ms,
      sum(calls) as calls, sum(${isError}) as errors, sum(charged_micros) as charged
    from usage_hourly where ${owner} and mode = 'live' and hour > ${edge} group by 1`);
  const shareOf = ({ edge_ms }: (typeof rows)[number]): number =>
    edge_ms === null ? 1 : (Number(edge_ms) + HOUR_MS - sinceMs) / HOUR_MS;
  const add = (read: (row: (typeof rows)[number]) => string): number =>
    rows.reduce((sum, row) => sum + Number(read(row)) * shareOf(row), 0);
  const callsTouched = rows.reduce((sum, { calls }) => sum + Number(calls), 0);
  return {
    calls: add(({ calls }) => calls),
    errors: add(({ errors }) => errors),
    chargedMicros: Math.round(add(({ charged }) => charged)),
    callsTouched,
    wasUsed: callsTouched > 0 || (rule.kind === "noUsage" && (await wasUsedBefore(ctx, owner, edge))),
  };
}

async function wasUsedBefore(ctx: ServiceContext, owner: SQL, edge: SQL): Promise<boolean> {
  const rows = await ctx.db.execute(
    sql`select 1 as one from usage_hourly where ${owner} and mode = 'live' and hour <= ${edge} limit 1`,
  );
  return rows.length > 0;
}

async function fire(ctx: ServiceContext, rule: RuleRow, measured: number): Promise<void> {
  const [alert] = await ctx.db
    .insert(alerts)
    .values({
      id: newId("alert"),
      ruleId: rule.id,
      projectId: rule.projectId,
      billingAccountId: rule.billingAccountId,
      title: rule.name,
      text: describe(rule, measured),
      createdAt: ctx.clock.now(),
    })
    .returning();
  if (alert === undefined) throw new Error("An alert was written and is not there");
  await appendEvent(ctx, alertsFired, { alertId: alert.id, ruleId: rule.id, ...ownerOf(rule) });
  await say(ctx, rule, alert, alert.text, false);
}

async function resolve(ctx: ServiceContext, rule: RuleRow, measured: number): Promise<void> {
  const [alert] = await ctx.db
    .update(alerts)
    .set({ resolvedAt: ctx.clock.now() })
    .where(and(eq(alerts.ruleId, rule.id), isNull(alerts.resolvedAt)))
    .returning();
  if (alert === undefined) return;
  await appendEvent(ctx, alertsResolved, { alertId: alert.id, ruleId: rule.id, ...ownerOf(rule) });
  await say(ctx, rule, alert, describe(rule, measured), true);
}

/** Writes what is to be said on each channel; a mail is a row of its own kind. */
async function say(
  ctx: ServiceContext,
  rule: RuleRow,
  alert: AlertRow,
  text: string,
  isResolved: boolean,
): Promise<void> {
  const now = ctx.clock.now();
  for (const channel of unsealChannels(ctx, rule.channelsSealed)) {
    const target = targetOf(channel);
    if (channel.kind === "email") {
      // Who was in it when the rule was made may have left since.
      if (!(await isTheirs(ctx, rule, channel.to))) continue;
      await queueEmail(ctx, {
        template: "alert",
        to: channel.to,
        data: { title: alert.title, text, isResolved, dashboardUrl: ctx.settings.publicWebUrl },
        idempotencyKey: `alert:${alert.id}:${isResolved ? "resolved" : "fired"}:${target}`,
      });
      continue;
    }
    await ctx.db.insert(alertMessages).values({
      id: newId("alertMessage"),
      alertId: alert.id,
      target,
      channelSealed: sealChannels(ctx, [channel]),
      title: alert.title,
      text,
      isResolved,
      status: "pending",
      nextAttemptAt: now,
      createdAt: now,
    });
  }
}

function describe(rule: RuleRow, measured: number): string {
  const hours = rule.windowHours === 1 ? "the last hour" : `the last ${rule.windowHours} hours`;
  const limit = formatUnits(String(rule.thresholdMicros ?? 0n));
  switch (rule.kind) {
    case "balanceBelow":
      return `The balance is ${formatUnits(String(measured))}; the rule is ${limit}.`;
    case "spendAbove":
      return `${formatUnits(String(measured))} was spent in ${hours}; the rule is ${limit}.`;
    case "errorRateAbove":
      return `${measured.toFixed(1)} % of the calls of ${hours} failed; the rule is ${rule.thresholdPercent} %.`;
    case "noUsage":
      return measured === 0 ? `There was no call in ${hours}.` : `There were ${measured} calls in ${hours}.`;
  }
}
