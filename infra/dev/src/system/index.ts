export type { ReadyInfo, SystemInfo } from "./readyFile.ts";
export { type System, type SystemOptions, startSystem } from "./startSystem.ts";
