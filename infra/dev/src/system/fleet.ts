import type { Runnable } from "../processes/index.ts";
import type { Log } from "../servers/index.ts";
import { Supervised, stopInOrder } from "./supervised.ts";

/**
 * In which order a system ends: first what takes calls, then what it asks, then what works off what is left, and the
 * servers under all of them last.
 */
const STOP_ORDER = ["gateways", "api", "workers", "servers"] as const;
export type Stage = (typeof STOP_ORDER)[number];

/** All processes of a system. */
export class Fleet {
  readonly #log: Log;
  readonly #onSpawn: () => void;
  readonly #stages: Record<Stage, Supervised[]> = { gateways: [], api: [], workers: [], servers: [] };
  #isEnding = false;

  constructor(log: Log, onSpawn: () => void) {
    this.#log = log;
    this.#onSpawn = onSpawn;
  }

  /** Starts processes together, keeps them running, and resolves when all of them answer. @throws Error if one does not. */
  async start(stage: Stage, runnables: Iterable<Runnable>): Promise<void> {
    if (this.#isEnding) throw new Error("The system is being stopped");
    const started = [...runnables].map(
      (runnable) => new Supervised(runnable, { log: this.#log, onSpawn: this.#onSpawn }),
    );
    this.#stages[stage].push(...started);
    const results = await Promise.allSettled(started.map((supervised) => supervised.start()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** The pid of a process. @throws Error if there is none of that name. */
  pid(name: string): number {
    const pid = this.findPid(name);
    if (pid === undefined) throw new Error(`${name} is not running`);
    return pid;
  }

  /** The pid of a process; undefined if it is not ours. */
  findPid(name: string): number | undefined {
    return this.#all().find((supervised) => supervised.name === name)?.pid;
  }

  /** Replaces the processes whose names are chosen, each draining first. */
  async restart(isChosen: (name: string) => boolean): Promise<void> {
    const chosen = this.#all().filter((supervised) => isChosen(supervised.name));
    await Promise.all(chosen.map((supervised) => supervised.restart()));
  }

  /** Ends everything in order. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    await stopInOrder(STOP_ORDER.map((stage) => this.#stages[stage]));
  }

  /** Ends everything at once with SIGKILL. */
  async kill(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#all().map((supervised) => supervised.kill()));
  }

  #all(): Supervised[] {
    return Object.values(this.#stages).flat();
  }
}
