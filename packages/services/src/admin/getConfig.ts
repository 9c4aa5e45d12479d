import type { Config, getConfigInput, SettingInForce } from "@tollgate/contracts";
import type { z } from "zod";
import { requireAdmin } from "../permissions.ts";
import type { ConfigVerb } from "./internal.ts";
import { assertSetting } from "./internal.ts";

/** What is in force in the process that answers, and where it has it from. @throws TollgateError NOT_FOUND, FORBIDDEN */
export async function getConfig({ ctx, input }: ConfigVerb<z.output<typeof getConfigInput>>): Promise<Config> {
  requireAdmin(ctx);
  if (input.name !== undefined) assertSetting(input.name);
  const { source, staleSince } = ctx.config.status();
  const views = ctx.config.list().filter(({ name }) => input.name === undefined || input.name === name);
  return {
    source,
    staleSince,
    items: views.map((view) => ({
      ...view,
      value: view.value as SettingInForce["value"],
      default: view.default as SettingInForce["default"],
      changedAt: view.changedAt === null ? null : new Date(view.changedAt),
    })),
  };
}
