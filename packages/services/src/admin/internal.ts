import type { SettingChange } from "@tollgate/config";
import { SETTINGS } from "@tollgate/config";
import type { ChangeOfSetting } from "@tollgate/contracts";
import { notFound } from "@tollgate/kernel";
import type { ServiceContext } from "../context.ts";
import type { ProductConfig } from "../liveSettings.ts";

/** The context of verbs about settings. */
export interface ConfigContext extends ServiceContext {
  readonly config: ProductConfig;
}

export interface ConfigVerb<Input> {
  readonly ctx: ConfigContext;
  readonly input: Input;
}

/** @throws TollgateError NOT_FOUND */
export function assertSetting(name: string): void {
  if (!Object.hasOwn(SETTINGS, name)) throw notFound("setting");
}

export function toChangeDto(name: string, change: SettingChange): ChangeOfSetting {
  return {
    name,
    revision: change.revision,
    value: change.value,
    changedAt: new Date(change.at),
    changedBy: change.actor,
    rolledBackTo: change.rolledBackTo ?? null,
  };
}
