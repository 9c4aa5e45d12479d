import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

/** The core of the server that is measured, and the one of everything else: load, upstream, databases, workers. */
export const SERVER_CORE = 0;
export const OTHER_CORE = 1;

export type Core = typeof SERVER_CORE | typeof OTHER_CORE;

/** Whether processes can be tied to a core here: util-linux's taskset, and two cores to tie them to. */
export const canPin: boolean = detect();

function detect(): boolean {
  if (process.platform !== "linux" || cpus().length < 2) return false;
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Ties this process, and by inheritance whatever it starts without a core of its own, to the core of everything else. */
export function leaveServerCore(): void {
  if (!canPin) return;
  execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", `${OTHER_CORE}`, `${process.pid}`], {
    stdio: "ignore",
  });
}

/** A command line that runs on one core, and becomes the program: the process id stays the same. */
export function onCore(core: Core, file: string, args: readonly string[]): { file: string; args: readonly string[] } {
  return canPin ? { file: "taskset", args: ["--cpu-list", `${core}`, file, ...args] } : { file, args };
}
