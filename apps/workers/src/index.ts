export { createWorkers, type RunningWorkers } from "./createWorkers.ts";
export type { WorkersEnv } from "./env.ts";
