import { newId, silentLogger, systemClock } from "@tollgate/kernel";
import { testUrls } from "@tollgate/testing";
import { Etcd3 } from "etcd3";
import { createEtcdStore } from "../src/etcdStore.ts";
import type { EtcdStore } from "../src/store.ts";
import { OutageProxy } from "./outageProxy.ts";

export interface StoreFixture {
  /** Its connection goes through {@link proxy}. */
  readonly store: EtcdStore;
  /** Sees the same keys and has no outages: the rest of the world. */
  readonly other: EtcdStore;
  readonly proxy: OutageProxy;
  readonly namespace: string;
  /** Forgets the history of changes up to now, as etcd does from time to time. */
  compact(): Promise<void>;
}

/**
 * A namespace of its own on the run's etcd, with a connection that can be cut.
 * @param atEnd takes what is to be done when the test has finished; vitest's `onTestFinished`
 */
export async function storeFixture(atEnd: (cleanUp: () => Promise<void>) => void): Promise<StoreFixture> {
  const { etcdUrl } = testUrls();
  const proxy = new OutageProxy(etcdUrl);
  await proxy.up();
  const namespace = `/${newId("request")}`;
  const common = { clock: systemClock, logger: silentLogger, namespace };
  const store = createEtcdStore({ ...common, url: proxy.url });
  const other = createEtcdStore({ ...common, url: etcdUrl });
  atEnd(async () => {
    store.close();
    other.close();
    await proxy.down();
  });
  const compact = async (): Promise<void> => {
    const raw = new Etcd3({ hosts: etcdUrl });
    try {
      const { header } = await raw.kv.range({ key: Buffer.from(namespace) });
      await raw.kv.compact({ revision: header.revision, physical: true });
    } finally {
      raw.close();
    }
  };
  return { store, other, proxy, namespace, compact };
}
