import type { ChangeOfSetting, setConfigInput } from "@tollgate/contracts";
import { actorName } from "@tollgate/kernel";
import type { z } from "zod";
import { requireAdmin } from "../permissions.ts";
import type { ConfigVerb } from "./internal.ts";
import { toChangeDto } from "./internal.ts";
import { recordSettingChange } from "./settingRecords.ts";

/**
 * Puts a value in force in every process. The change is made in etcd and recorded in the database after it; should this
 * process end between the two, the workers record it.
 * @throws TollgateError NOT_FOUND; BAD_REQUEST naming the field; CONFLICT `setting_changed`; UNAVAILABLE while etcd is away
 */
export async function setConfig({ ctx, input }: ConfigVerb<z.output<typeof setConfigInput>>): Promise<ChangeOfSetting> {
  requireAdmin(ctx);
  const { change, before } = await ctx.config.set({
    ...input,
    actor: actorName(ctx.actor),
    requestId: ctx.requestId,
  });
  await recordSettingChange(ctx, { name: input.name, change }, { action: "admin.config.set", before });
  return toChangeDto(input.name, change);
}
