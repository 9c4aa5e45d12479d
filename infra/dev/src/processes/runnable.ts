import { readFile } from "node:fs/promises";
import { delay } from "@tollgate/kernel";
import type { RunningProcess } from "./runningProcess.ts";
import { describeExit } from "./runningProcess.ts";

/** Something that can be started as a process, any number of times, in the same place: same port, same data. */
export interface Runnable {
  readonly name: string;
  readonly logFile: string;
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
  spawn(): RunningProcess;
  /** One look at whether it answers. Must not throw, and must return within a few seconds. */
  isReady(): Promise<boolean>;
}

const POLL_MS = 20;
const LOG_TAIL_LINES = 15;

/** Thrown when a process ended before it ever answered. */
export class EndedBeforeReady extends Error {
  override readonly name = "EndedBeforeReady";
}

/**
 * Resolves when a started process answers.
 * @throws EndedBeforeReady if it ends first. @throws Error if it does not answer in time; both carry the end of its log.
 */
export async function waitUntilReady(runnable: Runnable, running: RunningProcess, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await runnable.isReady()) || running.exit) {
    if (running.exit) {
      throw new EndedBeforeReady(`${runnable.name} ${describeExit(running.exit)}${await logTail(runnable.logFile)}`);
    }
    if (Date.now() > deadline) {
      throw new Error(`${runnable.name} did not answer within ${timeoutMs} ms${await logTail(runnable.logFile)}`);
    }
    await delay(POLL_MS);
  }
}

async function logTail(logFile: string): Promise<string> {
  const text = await readFile(logFile, "utf8");
  const lines = text.trimEnd().split("\n").slice(-LOG_TAIL_LINES);
  return `; the end of ${logFile}:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
