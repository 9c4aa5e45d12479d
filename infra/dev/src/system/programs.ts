import path from "node:path";
import type { Runnable } from "../processes/index.ts";
import { spawnGuarded } from "../processes/index.ts";
import { httpAnswers } from "../servers/index.ts";

/** One TypeScript program of the product, started from its source. */
export interface Program {
  /** Name in logs and in the supervisor: `api`, `gateway-1`. */
  readonly name: string;
  /** Relative to the checkout: `apps/api/src/main.ts`. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  /** Answers 200 when it can serve. */
  readonly readyUrl: string;
}

/** Takes the lines that programs print. */
export type LineSink = (name: string, line: string) => void;

const DRAIN_MS = 10_000;

/** Arguments for Node.js that run a TypeScript file of the checkout. */
export function nodeArgs(entry: string): string[] {
  return ["--import", "tsx", entry];
}

/** What a program gets as its environment: the launcher's own, so that real credentials can be given, and then ours. */
export function programEnv(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...env };
}

/** Where programs run and where their output goes. */
export interface ProgramPlace {
  /** The checkout; the working directory of every program. */
  readonly root: string;
  readonly logDir: string;
  readonly onLine?: LineSink;
}

export function programRunnable(program: Program, place: ProgramPlace): Runnable {
  const { root, logDir, onLine } = place;
  const logFile = path.join(logDir, `${program.name}.log`);
  return {
    name: program.name,
    logFile,
    stopSignal: "SIGTERM",
    stopGraceMs: DRAIN_MS,
    spawn: () =>
      spawnGuarded({
        file: process.execPath,
        args: nodeArgs(program.entry),
        env: programEnv(program.env),
        cwd: root,
        logFile,
        // Without the launcher its servers go too, so there is nothing left to drain into.
        deathSignal: "SIGKILL",
        ...(onLine ? { onLine: (line: string) => onLine(program.name, line) } : {}),
      }),
    isReady: () => httpAnswers(program.readyUrl),
  };
}
