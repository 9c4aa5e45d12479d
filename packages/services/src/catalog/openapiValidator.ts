import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { unavailable } from "@tollgate/kernel";

/**
 * Checks documents in a thread of their own: a large or hostile one takes seconds and a lot of memory, and neither may
 * come out of the process's other work. The thread is begun when it is needed, ended when it is idle, when it takes too
 * long or too much, and does one document at a time; a few wait.
 */
export interface OpenapiProblem {
  /** What is wrong, for whoever wrote the document; undefined when nothing is. */
  readonly problem: string | undefined;
}

export interface ValidatorLimits {
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly waitingMax: number;
  readonly idleMs: number;
}

const LIMITS: ValidatorLimits = { timeoutMs: 60_000, memoryMb: 1_024, waitingMax: 32, idleMs: 30_000 };

/**
 * Plain text, as a thread is started with the same few lines from sources, from tests and from a bundle. Nothing is
 * fetched or read from disk, and what refers to itself stays a reference.
 */
const THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
parentPort.on("message", async (text) => {
  let problem;
  try {
    const { validate, compileErrors } = await import(workerData.parser);
    const result = await validate(JSON.parse(text), {
      resolve: { external: false, file: false },
      dereference: { circular: "ignore" },
    });
    if (!result.valid) problem = compileErrors(result).slice(0, 2000);
  } catch (error) {
    problem = error instanceof Error ? error.message.slice(0, 2000) : "Cannot be read as an OpenAPI document";
  }
  parentPort.postMessage({ problem });
});
`;

interface Waiting {
  readonly text: string;
  resolve(result: OpenapiProblem): void;
}

export class OpenapiValidator {
  readonly #limits: ValidatorLimits;
  readonly #waiting: Waiting[] = [];
  #thread: Worker | undefined;
  #current: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: Partial<ValidatorLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /**
   * @param text the document as JSON, without references to other documents
   * @throws TollgateError UNAVAILABLE when too many documents wait to be checked
   */
  async check(text: string): Promise<OpenapiProblem> {
    if (this.#waiting.length >= this.#limits.waitingMax) {
      throw unavailable("Too many documents are being checked", { reason: "validator_busy", retryAfterSeconds: 5 });
    }
    return new Promise((resolve) => {
      this.#waiting.push({ text, resolve });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    clearTimeout(this.#timer);
    this.#current = this.#waiting.shift();
    if (this.#current === undefined) {
      this.#timer = setTimeout(() => this.#end(), this.#limits.idleMs).unref();
      this.#thread?.unref();
      return;
    }
    this.#thread ??= this.#begin();
    this.#thread.ref();
    this.#timer = setTimeout(() => this.#abandon("Takes too long to check"), this.#limits.timeoutMs);
    this.#thread.postMessage(this.#current.text);
  }

  #begin(): Worker {
    const parser = createRequire(import.meta.url).resolve("@readme/openapi-parser");
    const thread = new Worker(THREAD, {
      eval: true,
      execArgv: [],
      workerData: { parser: pathToFileURL(parser).href },
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.memoryMb },
    });
    thread.on("message", (result: OpenapiProblem) => this.#settle(result));
    thread.on("error", (error: NodeJS.ErrnoException) => {
      const isTooLarge = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      this.#abandon(isTooLarge ? "Takes too much memory to check" : error.message);
    });
    return thread;
  }

  #settle(result: OpenapiProblem): void {
    const settled = this.#current;
    this.#current = undefined;
    settled?.resolve(result);
    this.#next();
  }

  /** The thread is of no use any more, and the document at hand is at fault. */
  #abandon(problem: string): void {
    this.#end();
    this.#settle({ problem });
  }

  #end(): void {
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.removeAllListeners();
    // What a thread says on its way out is of no interest.
    thread?.on("error", () => undefined);
    void thread?.terminate();
  }
}
