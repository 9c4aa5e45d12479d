import type { UpstreamValue } from "@tollgate/config";
import { createEtcdStore, keepRegistered, upstreamKey } from "@tollgate/config";
import type { Logger } from "@tollgate/kernel";
import { createLogger, randomBase62, systemClock } from "@tollgate/kernel";

const DEFAULT_LEASE_TTL_SECONDS = 5;
const FIRST_REGISTRATION_TIMEOUT_MS = 5_000;

export interface RegisterUpstreamOptions {
  /** One or several comma-separated addresses of the etcd cluster that the gateways watch. */
  readonly etcdUrl: string;
  /** Name of the published API that this instance serves. */
  readonly api: string;
  /** Where gateways reach this instance: an http(s) address without a trailing path of an endpoint. */
  readonly url: string;
  /** Share of the traffic relative to other instances; 1 unless given. */
  readonly weight?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Unique among the instances of the API; random unless given. */
  readonly instance?: string;
  /** Gateways forget an instance that died without a word after this long; 5 unless given. */
  readonly leaseTtlSeconds?: number;
  /** Put before every key; for tests that share an etcd. */
  readonly namespace?: string;
  readonly logger?: Logger;
}

export interface UpstreamRegistration {
  readonly instance: string;
  isRegistered(): boolean;
  /** Takes the instance out of every gateway at once. Call it first on shutdown, then finish what is in flight. */
  close(): Promise<void>;
}

/**
 * Tells the gateways that this process serves an API, for as long as it runs. It registers again by itself after an
 * outage of etcd. Resolves once registered; if etcd cannot be reached within five seconds it resolves all the same and
 * goes on trying, because a service must be able to start during an outage ({@link UpstreamRegistration.isRegistered}
 * tells).
 * @throws RangeError if the API's or the instance's name cannot be part of a key
 * @throws TypeError if the url is not an http(s) address
 */
export async function registerUpstream(options: RegisterUpstreamOptions): Promise<UpstreamRegistration> {
  const instance = options.instance ?? randomBase62(22);
  const key = upstreamKey(options.api, instance);
  if (!/^https?:$/.test(new URL(options.url).protocol)) throw new TypeError(`Not an http(s) address: ${options.url}`);
  const logger = options.logger ?? createLogger({ name: `upstream-${options.api}`, level: "info" });
  const store = createEtcdStore({
    url: options.etcdUrl,
    clock: systemClock,
    logger,
    ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
  });
  const value: UpstreamValue = {
    url: options.url,
    ...(options.weight === undefined ? {} : { weight: options.weight }),
    ...(options.metadata === undefined ? {} : { metadata: { ...options.metadata } }),
  };
  const registration = keepRegistered({
    store,
    logger,
    key,
    value: JSON.stringify(value),
    ttlSeconds: options.leaseTtlSeconds ?? DEFAULT_LEASE_TTL_SECONDS,
  });
  await registration.waitUntilRegistered(FIRST_REGISTRATION_TIMEOUT_MS);
  return {
    instance,
    isRegistered: () => registration.isRegistered(),
    close: async () => {
      await registration.close();
      store.close();
    },
  };
}
