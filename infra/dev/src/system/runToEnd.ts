import path from "node:path";
import { spawnGuarded } from "../processes/index.ts";
import type { ProgramPlace } from "./programs.ts";
import { nodeArgs, programEnv } from "./programs.ts";

const ERROR_LINES = 30;

export interface Task {
  readonly name: string;
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  /** Which of its lines are a log. The others are for the caller alone. */
  readonly isLog?: (line: string) => boolean;
}

/**
 * Runs a program of the product until it ends and returns the lines it printed.
 * @throws Error with the last of them if it fails or the signal is aborted.
 */
export async function runToEnd(task: Task, place: ProgramPlace, signal?: AbortSignal): Promise<string[]> {
  const lines: string[] = [];
  const running = spawnGuarded({
    file: process.execPath,
    args: nodeArgs(task.entry),
    env: programEnv(task.env),
    cwd: place.root,
    logFile: path.join(place.logDir, `${task.name}.log`),
    deathSignal: "SIGKILL",
    onLine: (line) => lines.push(line),
    ...(task.isLog === undefined ? {} : { isKept: task.isLog }),
  });
  const abort = (): void => running.signal("SIGKILL");
  signal?.addEventListener("abort", abort, { once: true });
  const exit = await running.closed;
  signal?.removeEventListener("abort", abort);
  if (exit.code === 0) return lines;
  throw new Error(
    `${task.name} failed:\n${lines
      .slice(-ERROR_LINES)
      .map((line) => `  ${line}`)
      .join("\n")}`,
  );
}
