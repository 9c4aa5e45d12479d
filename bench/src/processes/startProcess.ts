import path from "node:path";
import { fileURLToPath } from "node:url";
import type { RunningProcess } from "@tollgate/dev/processes";
import { describeExit, spawnGuarded } from "@tollgate/dev/processes";
import { delay } from "@tollgate/kernel";
import type { Core } from "./cores.ts";
import { onCore } from "./cores.ts";

/** Where the bundles are that {@link buildPrograms} makes. */
export const DIST_DIR = fileURLToPath(new URL("../../dist", import.meta.url));
export const ROOT_DIR = fileURLToPath(new URL("../../..", import.meta.url));

export interface ProcessOptions {
  readonly name: string;
  /** Relative to the bundles' directory; without `.js`. */
  readonly program: string;
  readonly core: Core;
  readonly logDir: string;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A bundled program as a process on its core. */
export class BenchProcess {
  readonly running: RunningProcess;
  readonly #name: string;
  readonly #logFile: string;
  readonly #lines: string[] = [];
  #onLine: (() => void) | undefined;

  constructor(options: ProcessOptions) {
    this.#name = options.name;
    this.#logFile = path.join(options.logDir, `${options.name}.log`);
    const node = [...(options.nodeArgs ?? []), path.join(DIST_DIR, `${options.program}.js`), ...(options.args ?? [])];
    this.running = spawnGuarded({
      ...onCore(options.core, process.execPath, node),
      env: { ...process.env, NODE_ENV: "production", ...options.env },
      cwd: ROOT_DIR,
      deathSignal: "SIGKILL",
      logFile: this.#logFile,
      onLine: (line) => {
        this.#lines.push(line);
        this.#onLine?.();
      },
    });
  }

  get pid(): number {
    return this.running.pid;
  }

  /**
   * The next line that the program prints as JSON: its port, or its result.
   * @throws Error when it ends before, or takes longer than the time given
   */
  async nextResult<Result>(timeoutMs: number): Promise<Result> {
    const giveUp = new AbortController();
    const ended = this.running.closed.then((exit) => describeExit(exit));
    const timedOut = delay(timeoutMs, giveUp.signal).then(() => `said nothing for ${timeoutMs} ms`);
    try {
      for (;;) {
        const line = this.#lines.shift();
        if (line?.startsWith("{") === true) return JSON.parse(line) as Result;
        if (line !== undefined) continue;
        const arrived = new Promise<undefined>((resolve) => {
          this.#onLine = () => resolve(undefined);
        });
        const problem = await Promise.race([arrived, ended, timedOut]);
        if (problem !== undefined && this.#lines.length === 0) {
          throw new Error(`${this.#name} ${problem}; see ${this.#logFile}`);
        }
      }
    } finally {
      giveUp.abort();
      this.#onLine = undefined;
    }
  }

  async stop(graceMs = 15_000): Promise<void> {
    await this.running.stop("SIGTERM", graceMs);
  }
}

/** Starts a server that prints `{"port":…}` when it listens. */
export async function startServer(
  options: ProcessOptions,
): Promise<{ readonly process: BenchProcess; readonly port: number }> {
  const server = new BenchProcess(options);
  const { port } = await server.nextResult<{ port: number }>(20_000);
  return { process: server, port };
}
