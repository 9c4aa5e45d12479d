import { readdirSync, readFileSync } from "node:fs";
import { canPin, SERVER_CORE } from "./cores.ts";

const NS_PER_MS = 1_000_000;
/** Linux counts a core's time in hundredths of a second, whatever the kernel's own tick. */
const MS_PER_TICK = 10;
const PAGE_BYTES = 4_096;

/** How a server had its core over some time; undefined what cannot be known on this machine. */
export interface CoreUse {
  readonly elapsedMs: number;
  /** Processor time of the server, all threads together. */
  readonly ranMs: number | undefined;
  /** What others had of the server's core, the hypervisor included: on a quiet machine next to nothing. */
  readonly othersMs: number | undefined;
}

/** Watches what a process on the server's core gets of it, from its making to {@link CoreWatch.stop}. */
export class CoreWatch {
  readonly #pid: number;
  readonly #startedAtMs = performance.now();
  readonly #ranMs: number | undefined;
  readonly #busyMs: number | undefined;

  constructor(pid: number) {
    this.#pid = pid;
    this.#ranMs = readRanMs(pid);
    this.#busyMs = readBusyMs();
  }

  stop(): CoreUse {
    const elapsedMs = performance.now() - this.#startedAtMs;
    const ranMs = difference(this.#ranMs, readRanMs(this.#pid));
    const busyMs = difference(this.#busyMs, readBusyMs());
    const othersMs = ranMs === undefined || busyMs === undefined ? undefined : Math.max(0, busyMs - ranMs);
    return { elapsedMs, ranMs, othersMs: canPin ? othersMs : undefined };
  }
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

/**
 * Processor time of all threads of a process since it started: the first number of `/proc/<pid>/task/<id>/schedstat`, in
 * nanoseconds (see the kernel's Documentation/scheduler/sched-stats). Undefined where there is no such thing.
 */
export function readRanMs(pid: number): number | undefined {
  const tasks = `/proc/${pid}/task`;
  return readProc(() =>
    readdirSync(tasks)
      .map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ", 1)[0]) / NS_PER_MS)
      .reduce((sum, ms) => sum + ms, 0),
  );
}

/** How long the server's core has been busy since the machine started, from `/proc/stat`: all but idle and waiting for I/O. */
function readBusyMs(): number | undefined {
  const line = readProc(
    () => new RegExp(`^cpu${SERVER_CORE} (.*)$`, "m").exec(readFileSync("/proc/stat", "utf8"))?.[1],
  );
  if (line === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line.split(" ").map(Number);
  return (user + nice + system + irq + softIrq + steal) * MS_PER_TICK;
}

/** Resident memory of a process in bytes, from `/proc/<pid>/statm`. Undefined where there is no such thing. */
export function readResidentBytes(pid: number): number | undefined {
  return readProc(() => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES);
}

function readProc<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not Linux, or a thread that has just ended.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
