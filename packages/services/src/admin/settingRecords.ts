import type { NamedChange } from "@tollgate/config";
import { adminSettingChanged } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import { appendEvent, schema, withTransaction, writeAudit } from "@tollgate/db";
import { desc } from "drizzle-orm";
import type { ServiceContext } from "../context.ts";

/** The records of changes of settings, which are made in etcd. */
const { settingChanges } = schema;

export type SettingChangeRow = typeof settingChanges.$inferSelect;

export function toNamedChange(row: SettingChangeRow): NamedChange {
  const { id, name, revision, actor, requestId, rolledBackTo } = row;
  return {
    name,
    change: {
      id,
      revision,
      value: JSON.parse(row.value),
      at: row.changedAt.toISOString(),
      actor,
      requestId,
      ...(rolledBackTo === null ? {} : { rolledBackTo }),
    },
  };
}

/** The last recorded change of each setting. */
export async function readRecordedSettings(db: Database["db"]): Promise<NamedChange[]> {
  const rows = await db
    .selectDistinctOn([settingChanges.name])
    .from(settingChanges)
    .orderBy(settingChanges.name, desc(settingChanges.changedAt), desc(settingChanges.revision));
  return rows.map(toNamedChange);
}

/**
 * Records a change that has been made in etcd, with its audit row and its event: once, however often and from however many
 * processes.
 * @param action the procedure that made the change
 */
export async function recordSettingChange(
  ctx: ServiceContext,
  { name, change }: NamedChange,
  about: { readonly action: string; readonly before?: unknown },
): Promise<void> {
  const { id, revision, value, actor, requestId, rolledBackTo } = change;
  await withTransaction(
    ctx,
    async (ctx) => {
      const added = await ctx.db
        .insert(settingChanges)
        .values({
          id,
          name,
          revision,
          value: JSON.stringify(value),
          actor,
          requestId,
          rolledBackTo: rolledBackTo ?? null,
          changedAt: new Date(change.at),
        })
        .onConflictDoNothing()
        .returning({ id: settingChanges.id });
      if (added.length === 0) return;
      await writeAudit(ctx, {
        action: about.action,
        subject: `setting:${name}`,
        ...(about.before === undefined ? {} : { before: { value: about.before } }),
        after: { value, revision, changedBy: actor, changedIn: requestId },
      });
      await appendEvent(ctx, adminSettingChanged, { setting: name, revision });
    },
    { isIdempotent: true },
  );
}
