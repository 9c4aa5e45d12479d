import type {
  AlertRule,
  alertRuleIdInput,
  createAlertRuleInput,
  Done,
  listAlertRulesInput,
  Page,
  updateAlertRuleInput,
} from "@tollgate/contracts";
import { alertsRuleCreated, alertsRuleDeleted, alertsRuleUpdated } from "@tollgate/contracts";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { conflict, newId } from "@tollgate/kernel";
import { and, count, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { ownedBy, requireOwner } from "../permissions.ts";
import { checkChannels, describeRule, ownerOf, requireRule, sealChannels, toRule } from "./internal.ts";

const RULES_MAX = 50;
const { alertRules: rules } = schema;

/** A rule of a project or a billing account. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN, BAD_REQUEST; CONFLICT `too_many_rules` */
export async function createRule({ ctx, input }: Verb<z.output<typeof createAlertRuleInput>>): Promise<AlertRule> {
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  return withTransaction(ctx, async (ctx) => {
    await requireOwner(ctx, owner, "alerts.createRule");
    const channels = await checkChannels(ctx, owner, input.channels);
    const [found] = await ctx.db.select({ rules: count() }).from(rules).where(ownedBy(rules, owner));
    if ((found?.rules ?? 0) >= RULES_MAX) {
      throw conflict(`There are ${RULES_MAX} rules already: delete one first`, { reason: "too_many_rules" });
    }
    const now = ctx.clock.now();
    const [row] = await ctx.db
      .insert(rules)
      .values({
        id: newId("alertRule"),
        ...owner,
        name: input.name,
        kind: input.kind,
        thresholdMicros: input.thresholdMicros ?? null,
        thresholdPercent: input.thresholdPercent ?? null,
        windowHours: input.windowHours,
        channelsSealed: sealChannels(ctx, channels),
        state: "unknown",
        createdAt: now,
        updatedAt: now,
      })
      .returning();
    if (row === undefined) throw new Error("A rule was written and is not there");
    await writeAudit(ctx, { action: "alerts.createRule", subject: row.id, after: describeRule(row) });
    await appendEvent(ctx, alertsRuleCreated, { ruleId: row.id, ...ownerOf(row) });
    return toRule(ctx, row);
  });
}

/** The rules of a project or a billing account, newest first. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function listRules({ ctx, input }: Verb<z.output<typeof listAlertRulesInput>>): Promise<Page<AlertRule>> {
  const owner = { projectId: input.projectId ?? null, billingAccountId: input.billingAccountId ?? null };
  await requireOwner(ctx, owner, "alerts.listRules");
  const rows = await ctx.db
    .select()
    .from(rules)
    .where(and(ownedBy(rules, owner), afterCursor(rules.createdAt, rules.id, input.cursor)))
    .orderBy(...newestFirst(rules.createdAt, rules.id))
    .limit(input.limit + 1);
  return toPage(rows, input.limit, (row) => toRule(ctx, row));
}

/** Changes a rule; what is left out stays. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN, BAD_REQUEST */
export async function updateRule({ ctx, input }: Verb<z.output<typeof updateAlertRuleInput>>): Promise<AlertRule> {
  return withTransaction(ctx, async (ctx) => {
    const before = await requireRule(ctx, input.id, "alerts.updateRule");
    const { id: _, channels, ...given } = input;
    const change = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const [row] = await ctx.db
      .update(rules)
      .set({
        ...change,
        ...(channels === undefined
          ? {}
          : { channelsSealed: sealChannels(ctx, await checkChannels(ctx, before, channels)) }),
        updatedAt: ctx.clock.now(),
      })
      .where(eq(rules.id, before.id))
      .returning();
    if (row === undefined) throw new Error("A rule was changed and is not there");
    const after = describeRule(row);
    await writeAudit(ctx, { action: "alerts.updateRule", subject: row.id, before: describeRule(before), after });
    await appendEvent(ctx, alertsRuleUpdated, { ruleId: row.id, ...ownerOf(row) });
    return toRule(ctx, row);
  });
}

/** Deletes a rule; what it has fired stays in the list. @throws TollgateError UNAUTHORIZED, NOT_FOUND, FORBIDDEN */
export async function deleteRule({ ctx, input }: Verb<z.output<typeof alertRuleIdInput>>): Promise<Done> {
  return withTransaction(ctx, async (ctx) => {
    const row = await requireRule(ctx, input.id, "alerts.deleteRule");
    await ctx.db.delete(rules).where(eq(rules.id, row.id));
    await writeAudit(ctx, { action: "alerts.deleteRule", subject: row.id, before: describeRule(row) });
    await appendEvent(ctx, alertsRuleDeleted, { ruleId: row.id, ...ownerOf(row) });
    return { ok: true };
  });
}
