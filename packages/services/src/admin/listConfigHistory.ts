import type { ChangeOfSetting, configHistoryInput, Page } from "@tollgate/contracts";
import { schema } from "@tollgate/db";
import { and, desc, eq, lt } from "drizzle-orm";
import type { z } from "zod";
import { requireAdmin } from "../permissions.ts";
import type { ConfigVerb } from "./internal.ts";
import { assertSetting, toChangeDto } from "./internal.ts";
import { toNamedChange } from "./settingRecords.ts";

/** What a setting has been and who set it, newest first; also while etcd is away. @throws TollgateError NOT_FOUND */
export async function listConfigHistory({
  ctx,
  input,
}: ConfigVerb<z.output<typeof configHistoryInput>>): Promise<Page<ChangeOfSetting>> {
  requireAdmin(ctx);
  assertSetting(input.name);
  const { settingChanges } = schema;
  const isOlder = input.cursor === undefined ? undefined : lt(settingChanges.revision, Number(input.cursor));
  const rows = await ctx.db
    .select()
    .from(settingChanges)
    .where(and(eq(settingChanges.name, input.name), isOlder))
    .orderBy(desc(settingChanges.revision))
    .limit(input.limit + 1);
  const shown = rows.slice(0, input.limit);
  return {
    items: shown.map((row) => toChangeDto(row.name, toNamedChange(row).change)),
    nextCursor: rows.length > input.limit ? String(shown.at(-1)?.revision) : null,
  };
}
