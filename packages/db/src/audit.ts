import { actorName, isReadOnly, newId, readOnly } from "@tollgate/kernel";
import { insertRows } from "./insertRows.ts";
import { auditLog } from "./schema/admin.ts";
import type { DbContext } from "./transaction.ts";

export interface AuditEntry {
  /** The procedure, as the contract names it: `keys.generate`. */
  readonly action: string;
  /** The record's id. */
  readonly subject: string;
  readonly before?: object;
  readonly after?: object;
}

/**
 * Writes who did what, in the mutation's own transaction. Secrets and hashes do not belong in `before` or `after`.
 * Every mutation comes through here, so this is also where one by an actor who may only read ends.
 * @throws TollgateError FORBIDDEN `impersonation_is_read_only`
 */
export async function writeAudit(ctx: DbContext, entry: AuditEntry): Promise<void> {
  await ctx.db.insert(auditLog).values(rowOf(ctx, entry));
}

/** The same for many mutations of one transaction, by one statement. @throws TollgateError as {@link writeAudit} */
export async function writeAudits(ctx: DbContext, entries: readonly AuditEntry[]): Promise<void> {
  await insertRows(
    ctx.db,
    auditLog,
    entries.map((entry) => rowOf(ctx, entry)),
  );
}

function rowOf(ctx: DbContext, entry: AuditEntry): typeof auditLog.$inferInsert {
  if (!ctx.isInTransaction) throw new Error(`${entry.action} must be audited inside its transaction`);
  if (isReadOnly(ctx.actor)) throw readOnly();
  return {
    id: newId("audit"),
    actor: actorName(ctx.actor),
    action: entry.action,
    subject: entry.subject,
    before: entry.before === undefined ? null : toJson(entry.before),
    after: entry.after === undefined ? null : toJson(entry.after),
    requestId: ctx.requestId,
    ip: ctx.ip ?? null,
    createdAt: ctx.clock.now(),
  };
}

/** JSON has no bigint: amounts are kept as decimal strings. */
function toJson(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value, (_, field) => (typeof field === "bigint" ? field.toString() : field)));
}
