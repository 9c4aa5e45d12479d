import type { AuditEntry, listAuditInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import type { SQL } from "drizzle-orm";
import { and, asc, eq, gt, gte, like, lt } from "drizzle-orm";
import { unionAll } from "drizzle-orm/pg-core";
import type { z } from "zod";
import type { ServiceContext, Verb } from "../context.ts";
import { afterCursor, newestFirst, toPage } from "../paging.ts";
import { requireAdmin } from "../permissions.ts";

const { auditLog } = schema;
const ACTIONS_MAX = 200;

/**
 * Who did what, newest first. Each page is read from the end of an index: that of the record, of the actor, of each action
 * that begins as asked, or of the time. @throws TollgateError UNAUTHORIZED, FORBIDDEN
 */
export async function listAudit({ ctx, input }: Verb<z.output<typeof listAuditInput>>): Promise<Page<AuditEntry>> {
  requireAdmin(ctx);
  const { subject, action, from, to, cursor, limit } = input;
  const actor = input.actor?.startsWith("cus_") === true ? `customer:${input.actor}` : input.actor;
  const filters = [
    subject === undefined ? undefined : eq(auditLog.subject, subject),
    actor === undefined ? undefined : eq(auditLog.actor, actor),
    from === undefined ? undefined : gte(auditLog.createdAt, from),
    to === undefined ? undefined : lt(auditLog.createdAt, to),
    afterCursor(auditLog.createdAt, auditLog.id, cursor),
  ];
  const read = (only: SQL | undefined) =>
    ctx.db
      .select()
      .from(auditLog)
      .where(and(...filters, only))
      .orderBy(...newestFirst(auditLog.createdAt, auditLog.id))
      .limit(limit + 1);
  const isNarrow = subject !== undefined || actor !== undefined;
  if (action === undefined || isNarrow) {
    const rows = await read(action === undefined ? undefined : like(auditLog.action, `${action}%`));
    return toPage(rows, limit, (row) => row);
  }
  const actions = await findActions(ctx, action);
  const [first, second, ...others] = actions.map((one) => read(eq(auditLog.action, one)));
  if (first === undefined) return { items: [], nextCursor: null };
  const rows =
    second === undefined
      ? await first
      : await unionAll(first, second, ...others)
          .orderBy(...newestFirst(auditLog.createdAt, auditLog.id))
          .limit(limit + 1);
  return toPage(rows, limit, (row) => row);
}

/** The actions that begin so, each found by one step into the index. */
async function findActions(ctx: ServiceContext, prefix: string): Promise<string[]> {
  const actions: string[] = [];
  for (let last = ""; actions.length < ACTIONS_MAX; ) {
    const [next] = await ctx.db
      .select({ action: auditLog.action })
      .from(auditLog)
      .where(and(gte(auditLog.action, prefix), gt(auditLog.action, last)))
      .orderBy(asc(auditLog.action))
      .limit(1);
    if (next === undefined || !next.action.startsWith(prefix)) break;
    actions.push(next.action);
    last = next.action;
  }
  return actions;
}
