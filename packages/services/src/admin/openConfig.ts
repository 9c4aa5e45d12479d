import type { EtcdStore, SettingValue } from "@tollgate/config";
import { DynamicConfig, SETTINGS, withDefaults } from "@tollgate/config";
import type { Database } from "@tollgate/db";
import type { Clock, Logger } from "@tollgate/kernel";
import type { ProductConfig } from "../liveSettings.ts";
import { readRecordedSettings } from "./settingRecords.ts";

/**
 * The settings of a process: watched in etcd, with the database's records to begin with while etcd is away. The log level
 * acts by itself.
 * @param defaults what the process's environment says; in force until somebody sets another value
 * @throws Error when one of the defaults is not valid
 */
export function openConfig(options: {
  readonly store: EtcdStore;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly defaults: {
    readonly [Name in keyof typeof SETTINGS]?: SettingValue<typeof SETTINGS, Name> | undefined;
  };
}): ProductConfig {
  const { store, database, clock, logger, defaults } = options;
  const config = new DynamicConfig({
    store,
    clock,
    logger,
    table: withDefaults(SETTINGS, defaults),
    recorded: () => readRecordedSettings(database.db),
  });
  config.onChange("logLevel", (level) => {
    logger.level = level;
  });
  return config;
}
