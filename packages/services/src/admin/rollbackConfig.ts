import type { ChangeOfSetting, rollbackConfigInput } from "@tollgate/contracts";
import { actorName } from "@tollgate/kernel";
import type { z } from "zod";
import { requireAdmin } from "../permissions.ts";
import type { ConfigVerb } from "./internal.ts";
import { toChangeDto } from "./internal.ts";
import { recordSettingChange } from "./settingRecords.ts";

/**
 * Puts the value of an earlier revision in force again, as a new revision; 0 is the default.
 * @throws TollgateError NOT_FOUND for an unknown setting or revision; CONFLICT `setting_changed`; UNAVAILABLE while etcd is away
 */
export async function rollbackConfig({
  ctx,
  input,
}: ConfigVerb<z.output<typeof rollbackConfigInput>>): Promise<ChangeOfSetting> {
  requireAdmin(ctx);
  const { change, before } = await ctx.config.rollback({
    ...input,
    actor: actorName(ctx.actor),
    requestId: ctx.requestId,
  });
  await recordSettingChange(ctx, { name: input.name, change }, { action: "admin.config.rollback", before });
  return toChangeDto(input.name, change);
}
