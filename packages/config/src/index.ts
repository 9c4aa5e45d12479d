export * from "./configHistory.ts";
export * from "./dynamicConfig.ts";
export { createEtcdStore, type EtcdStoreOptions } from "./etcdStore.ts";
export * from "./leaderElection.ts";
export { keepRegistered, type Registration, type RegistrationOptions } from "./registration.ts";
export * from "./settings.ts";
export type { SettingView } from "./settingValues.ts";
export type * from "./store.ts";
export * from "./upstreamRegistry.ts";
