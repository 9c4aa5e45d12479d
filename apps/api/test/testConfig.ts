import { createEtcdStore } from "@tollgate/config";
import type { Database } from "@tollgate/db";
import type { Clock } from "@tollgate/kernel";
import { newId, silentLogger } from "@tollgate/kernel";
import type { ProductConfig } from "@tollgate/services";
import { openConfig } from "@tollgate/services/admin";
import { testUrls } from "@tollgate/testing";

export interface TestConfig {
  readonly config: ProductConfig;
  close(): void;
}

/** Settings on the run's etcd that no other suite sees. */
export async function openTestConfig(database: Database, clock: Clock): Promise<TestConfig> {
  const namespace = `/${newId("request")}`;
  const store = createEtcdStore({ url: testUrls().etcdUrl, clock, logger: silentLogger, namespace });
  const config = openConfig({ store, database, clock, logger: silentLogger, defaults: {} });
  await config.waitUntilKnown(5_000);
  return {
    config,
    close: () => {
      config.close();
      store.close();
    },
  };
}
