export { EndedBeforeReady, type Runnable, waitUntilReady } from "./runnable.ts";
export { describeExit, type Exit, RunningProcess } from "./runningProcess.ts";
export { type Guard, type GuardedCommand, spawnGuarded } from "./spawnGuarded.ts";
