import { schema } from "@tollgate/db";
import { desc, inArray } from "drizzle-orm";
import { requireService } from "../permissions.ts";
import type { ConfigContext } from "./internal.ts";
import { recordSettingChange, toNamedChange } from "./settingRecords.ts";

const IDS_MAX = 500;
const RESTORED_MAX = 1_000;

/**
 * Brings etcd and the records of changes together: records what a process that ended at the wrong moment has not, and
 * gives an emptied etcd back what was recorded. May run anywhere and at any time.
 * @throws TollgateError UNAVAILABLE while etcd or the database is away
 */
export async function recordSettings({ ctx }: { readonly ctx: ConfigContext }): Promise<void> {
  requireService(ctx);
  const { settingChanges } = schema;
  const made = await ctx.config.changes();
  if (made.length === 0) {
    const rows = await ctx.db.select().from(settingChanges).orderBy(desc(settingChanges.changedAt)).limit(RESTORED_MAX);
    if (rows.length > 0)
      ctx.logger.warn({ changes: rows.length }, "etcd has no settings: giving back what is recorded");
    return ctx.config.restore(rows.map(toNamedChange));
  }
  for (let start = 0; start < made.length; start += IDS_MAX) {
    const batch = made.slice(start, start + IDS_MAX);
    const rows = await ctx.db
      .select({ id: settingChanges.id })
      .from(settingChanges)
      .where(
        inArray(
          settingChanges.id,
          batch.map(({ change }) => change.id),
        ),
      );
    const recorded = new Set(rows.map(({ id }) => id));
    for (const named of batch) {
      if (recorded.has(named.change.id)) continue;
      const isRollback = named.change.rolledBackTo !== undefined;
      await recordSettingChange(ctx, named, { action: isRollback ? "admin.config.rollback" : "admin.config.set" });
    }
  }
}
