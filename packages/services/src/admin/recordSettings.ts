import { schema } from "@tollgate/db";
import { chunksOf } from "@tollgate/kernel";
import { desc, inArray } from "drizzle-orm";
import { requireService } from "../permissions.ts";
import type { ConfigContext } from "./internal.ts";
import { readRecordedSettings, recordSettingChange, toNamedChange } from "./settingRecords.ts";

const IDS_MAX = 500;
const RESTORED_MAX = 1_000;

/**
 * Brings etcd and the records of changes together: records what a process that ended at the wrong moment has not, and
 * gives back the settings of which etcd knows nothing any more, each with its last value, however long ago it was set. Of
 * the past, which is kept here, etcd gets the last thousand changes. May run anywhere and at any time.
 * @throws TollgateError UNAVAILABLE while etcd or the database is away
 */
export async function recordSettings({ ctx }: { readonly ctx: ConfigContext }): Promise<void> {
  requireService(ctx);
  const { settingChanges } = schema;
  const made = await ctx.config.changes();
  const known = new Set(made.map(({ name }) => name));
  const lost = (await readRecordedSettings(ctx.db)).filter(({ name }) => !known.has(name));
  if (lost.length > 0) {
    ctx.logger.warn({ settings: lost.length }, "etcd has lost settings: giving back what is recorded");
    const names = lost.map(({ name }) => name);
    const past = await ctx.db
      .select()
      .from(settingChanges)
      .where(inArray(settingChanges.name, names))
      .orderBy(desc(settingChanges.changedAt))
      .limit(RESTORED_MAX);
    await ctx.config.restore([...lost, ...past.map(toNamedChange)]);
  }
  for (const batch of chunksOf(made, IDS_MAX)) {
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
