import type { ChildProcess } from "node:child_process";
import { delay } from "@tollgate/kernel";

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export function describeExit(exit: Exit): string {
  return exit.signal === null ? `exited with code ${exit.code}` : `was ended by ${exit.signal}`;
}

/** A started process. Its pid is that of the program itself, so that killing it is a real crash. */
export class RunningProcess {
  readonly pid: number;
  readonly startedAtMs = Date.now();
  readonly exited: Promise<Exit>;
  /** Resolves after the end, when all output has been read. */
  readonly closed: Promise<Exit>;
  #exit: Exit | undefined;

  /** @throws Error if the operating system did not start the program. */
  constructor(child: ChildProcess, file: string) {
    const failure = new Promise<Error>((resolve) => child.once("error", resolve));
    if (child.pid === undefined) {
      failure.then((error) => process.emitWarning(error));
      throw new Error(`Cannot start ${file}: it is missing or not executable`);
    }
    this.pid = child.pid;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    this.closed = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Sends a signal, unless the process has already ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit) return;
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      // ESRCH: it ended between its exit and our hearing of it.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** Asks the process to end, and ends it with SIGKILL when it takes longer than the grace. Resolves when it is gone. */
  async stop(signal: NodeJS.Signals, graceMs: number): Promise<Exit> {
    this.signal(signal);
    const waiting = new AbortController();
    const outcome = await Promise.race([this.exited, delay(graceMs, waiting.signal)]);
    waiting.abort();
    if (outcome) return outcome;
    this.signal("SIGKILL");
    return this.exited;
  }
}
