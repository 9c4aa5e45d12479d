import { delay } from "@tollgate/kernel";
import type { Runnable, RunningProcess } from "../processes/index.ts";
import { describeExit, waitUntilReady } from "../processes/index.ts";
import type { Log } from "../servers/index.ts";

/**
 * Keeps one process running: whenever it ends without having been asked to (a crash, a kill -9), it is started again in
 * the same place. One that had been answering comes back at once, however often it is killed; only one that keeps ending
 * before it answers, or just after, is given growing pauses.
 */
const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 5_000;
/** Having answered this long, a process counts as healthy. */
const HEALTHY_MS = 1_000;
/** A first start that fails this often in a row is given up. */
const FAILED_STARTS_MAX = 6;
const ANSWER_TIMEOUT_MS = 60_000;

/** How long to wait before the next start, after so many failed ones in a row. */
export function pauseMs(failedStarts: number): number {
  return failedStarts < 2 ? 0 : Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** (failedStarts - 2));
}

export interface SupervisedOptions {
  readonly log: Log;
  /** Called as soon as a new process is there, before it answers: by the time it does, its pid is known. */
  readonly onSpawn?: () => void;
}

export class Supervised {
  readonly #runnable: Runnable;
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  readonly #firstAnswer: Promise<void>;
  #answered: () => void = () => undefined;
  #gaveUp: (reason: unknown) => void = () => undefined;
  #running: RunningProcess | undefined;
  #finished: Promise<void> = Promise.resolve();
  #failedStarts = 0;
  #hasAnswered = false;
  /** The process that we are replacing on purpose. */
  #replaced: RunningProcess | undefined;

  constructor(runnable: Runnable, options: SupervisedOptions) {
    this.#runnable = runnable;
    this.#options = options;
    this.#firstAnswer = new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#gaveUp = reject;
    });
  }

  get name(): string {
    return this.#runnable.name;
  }

  /** Of the process that runs now, or that ran last. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Starts it and keeps it started. Resolves when it answers. @throws Error if it does not come up. */
  start(): Promise<void> {
    this.#finished = this.#keepRunning();
    return this.#firstAnswer;
  }

  /** Replaces the process by a new one: the old one drains and ends first. */
  async restart(): Promise<void> {
    const running = this.#running;
    if (!running || this.#stopping.signal.aborted) return;
    this.#replaced = running;
    await running.stop(this.#runnable.stopSignal, this.#runnable.stopGraceMs);
  }

  /** Ends it for good: asks, waits for the grace, then insists. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.stop(this.#runnable.stopSignal, this.#runnable.stopGraceMs);
    await this.#finished;
  }

  /** Ends it for good with SIGKILL. */
  async kill(): Promise<void> {
    this.#stopping.abort();
    await this.#running?.stop("SIGKILL", 0);
    await this.#finished;
  }

  async #keepRunning(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const ending = await this.#runOnce();
      if (this.#stopping.signal.aborted) break;
      if (ending === "replaced") continue;
      const pause = pauseMs(this.#failedStarts);
      this.#options.log(`${this.name} ${ending}; starting it again${pause > 0 ? ` in ${pause} ms` : ""}`);
      await delay(pause, this.#stopping.signal);
    }
    this.#gaveUp(new Error(`${this.name} was stopped before it answered`));
  }

  /** One life of the process. Resolves with how it ended. */
  async #runOnce(): Promise<string> {
    let running: RunningProcess;
    try {
      running = this.#runnable.spawn();
    } catch (error) {
      this.#noteFailedStart(error);
      return `could not be started (${error instanceof Error ? error.message : String(error)})`;
    }
    this.#running = running;
    this.#options.onSpawn?.();
    const answeredAtMs = await this.#waitForAnswer(running);
    const exit = await running.exited;
    if (answeredAtMs !== undefined && Date.now() - answeredAtMs >= HEALTHY_MS) this.#failedStarts = 0;
    else if (answeredAtMs !== undefined) this.#failedStarts += 1;
    return running === this.#replaced ? "replaced" : describeExit(exit);
  }

  /** When it began to answer; undefined if it ended first. */
  async #waitForAnswer(running: RunningProcess): Promise<number | undefined> {
    try {
      await waitUntilReady(this.#runnable, running, ANSWER_TIMEOUT_MS);
    } catch (error) {
      if (running.exit) {
        if (running !== this.#replaced) this.#noteFailedStart(error);
      } else {
        this.#options.log(`${this.name} does not answer (pid ${running.pid})`);
        this.#gaveUp(error);
      }
      return undefined;
    }
    const nowMs = Date.now();
    if (this.#hasAnswered)
      this.#options.log(`${this.name} is back (pid ${running.pid}, ${nowMs - running.startedAtMs} ms)`);
    this.#hasAnswered = true;
    this.#answered();
    return nowMs;
  }

  #noteFailedStart(error: unknown): void {
    this.#failedStarts += 1;
    if (this.#failedStarts >= FAILED_STARTS_MAX) this.#gaveUp(error);
  }
}

/** Stops groups one after the other; the members of a group together. */
export async function stopInOrder(groups: readonly (readonly Supervised[])[]): Promise<void> {
  for (const group of groups) await Promise.all(group.map((supervised) => supervised.stop()));
}
