export type { ReadyInfo } from "./readyFile.ts";
export { type System, type SystemOptions, startSystem } from "./startSystem.ts";
