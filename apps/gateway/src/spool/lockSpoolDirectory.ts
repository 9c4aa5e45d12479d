import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Takes a spool directory for this process: two gateways on one directory would each replay what the other is writing.
 * A lock whose process is gone is taken over; one that was given its number since, as after a reboot, is another process.
 * @returns the function that gives it up
 * @throws Error naming the process that has it
 */
export function lockSpoolDirectory(directory: string): () => void {
  const path = join(directory, "lock");
  const holder = readHolder(path);
  if (holder !== undefined && holder.pid !== process.pid && isAlive(holder)) {
    throw new Error(`${directory} is the spool of process ${holder.pid}; every gateway needs a directory of its own`);
  }
  writeFileSync(path, `${process.pid} ${startOf(process.pid) ?? ""}`);
  return () => rmSync(path, { force: true });
}

interface Holder {
  readonly pid: number;
  /** When it began, or nothing where that could not be told. */
  readonly start: string;
}

function readHolder(path: string): Holder | undefined {
  try {
    const [pid = "", start = ""] = readFileSync(path, "utf8").split(" ");
    return /^[1-9]\d{0,14}$/.test(pid) ? { pid: Number(pid), start } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isAlive({ pid, start }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const present = startOf(pid);
  return start === "" || present === undefined || present === start;
}

/** The boot of the machine and the clock tick since then at which a process began (proc(5), `starttime`). Linux alone. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
    const tick = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return tick === undefined ? undefined : `${boot}:${tick}`;
  } catch {
    // Another system, or a process that is none of our business: then its number has to do.
    return undefined;
  }
}
