import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, createWriteStream, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { RunningProcess } from "./runningProcess.ts";

/**
 * Every process the launcher starts dies with it, even when the launcher is killed with -9 and can run no handler.
 *
 * On Linux the kernel does it: `setpriv --pdeathsig` asks for a signal at the parent's death and then becomes the program
 * (execve keeps the pid and the request). Elsewhere a shell waits for the end of a pipe whose other end only the launcher
 * holds, and then signals the program.
 */
export interface GuardedCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Run as another user; needs root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** What the program gets when the launcher dies. */
  readonly deathSignal: NodeJS.Signals;
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** Receives the output as well, one line at a time. Without it the program writes to the file by itself. */
  readonly onLine?: (line: string) => void;
  /** Of a program with `onLine`: which of its lines the file keeps; all when not said. */
  readonly isKept?: (line: string) => boolean;
}

export type Guard = "pdeathsig" | "watchdog";

let detectedGuard: Guard | undefined;

function detectGuard(): Guard {
  if (process.platform !== "linux") return "watchdog";
  try {
    execFileSync("setpriv", ["--pdeathsig", "TERM", "true"], { stdio: "ignore" });
    return "pdeathsig";
  } catch {
    // An old util-linux, or BusyBox, whose setpriv has no such option.
    return "watchdog";
  }
}

/**
 * Starts a program in its own session, so that a Ctrl-C at the terminal reaches the launcher alone, which then stops things
 * in order. @throws Error if it cannot be started.
 */
export function spawnGuarded(command: GuardedCommand, guard?: Guard): RunningProcess {
  detectedGuard ??= guard ?? detectGuard();
  const chosen = guard ?? detectedGuard;
  const log = openSync(command.logFile, "a");
  try {
    const output = command.onLine ? "pipe" : log;
    const [file, args] = chosen === "pdeathsig" ? withDeathSignal(command) : [command.file, command.args];
    const child = spawn(file, args, {
      cwd: command.cwd,
      env: command.env ?? process.env,
      detached: true,
      stdio: ["ignore", output, output],
      ...(command.user && chosen === "watchdog" ? command.user : {}),
    });
    const running = new RunningProcess(child, command.file);
    if (command.onLine) copyLines(child, command.logFile, command.onLine, command.isKept);
    if (chosen === "watchdog") attachWatchdog(child, running.pid, command.deathSignal);
    return running;
  } finally {
    closeSync(log);
  }
}

function copyLines(
  child: ChildProcess,
  logFile: string,
  onLine: (line: string) => void,
  isKept: (line: string) => boolean = () => true,
): void {
  const file = createWriteStream(logFile, { flags: "a" });
  // A full disk costs the log, not the program.
  file.on("error", (error) => process.emitWarning(error));
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
      if (isKept(line)) file.write(`${line}\n`);
      onLine(line);
    });
  }
  child.once("close", () => file.end());
}

function withDeathSignal(command: GuardedCommand): [string, string[]] {
  const { user } = command;
  const credentials = user ? ["--reuid", `${user.uid}`, "--regid", `${user.gid}`, "--clear-groups"] : [];
  const signal = command.deathSignal.replace("SIG", "");
  return ["setpriv", [...credentials, "--pdeathsig", signal, "--", command.file, ...command.args]];
}

function attachWatchdog(child: ChildProcess, pid: number, deathSignal: NodeJS.Signals): void {
  const script = 'cat >/dev/null; kill -s "$1" "$2"';
  const watchdog = spawn("sh", ["-c", script, "watchdog", deathSignal.replace("SIG", ""), `${pid}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Once the program is gone its pid may be given to another, so the watchdog must go first.
  child.once("exit", () => watchdog.kill("SIGKILL"));
  watchdog.unref();
}
