import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

export const LOCK_FILE = "launcher.lock";

/** One launcher a directory: a file says which process has it, and since when that process runs. */
export interface LauncherLock {
  release(): void;
}

/**
 * Takes a directory for this process. One left by a process that is gone is taken over.
 * @throws Error if a live launcher has it.
 */
export function takeLauncherLock(dir: string): LauncherLock {
  const file = path.join(dir, LOCK_FILE);
  const mine = `${process.pid} ${processStart(process.pid)}`;
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: "wx" });
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const [pidText = "", start = ""] = readFileSync(file, "utf8").split(" ");
    const pid = Number(pidText);
    if (isAlive(pid) && processStart(pid) === start) {
      throw new Error(
        `Another launcher (pid ${pid}) already runs in ${dir}. Stop it first, or choose another directory with --dir`,
      );
    }
    rmSync(file, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process was started, in the kernel's ticks: pids are used again, pairs of pid and start are not. */
function processStart(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 22 of proc(5); the second field is a name in parentheses that may contain spaces.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "unknown";
  } catch {
    // No /proc (macOS), or no such process: the pid alone has to do.
    return "unknown";
  }
}
