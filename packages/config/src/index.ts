export { createEtcdStore, type EtcdStoreOptions } from "./etcdStore.ts";
export { keepRegistered, type Registration, type RegistrationOptions } from "./registration.ts";
export type * from "./store.ts";
export * from "./upstreamRegistry.ts";
