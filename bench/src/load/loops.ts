import { Worker } from "node:worker_threads";
import type { ConnectionOwner } from "./connection.ts";
import { Connection } from "./connection.ts";
import type { LoadPlan } from "./loadPlan.ts";
import type { Measurement } from "./measurement.ts";

/** One way of sending the requests of a plan. */
export interface Loop {
  start(): void;
  /** Sends nothing more, and resolves when everything that was sent is answered. */
  stop(): Promise<void>;
}

/** What both loops do: open connections, send requests in turn, count answers, finish what is under way. */
abstract class ConnectedLoop implements ConnectionOwner, Loop {
  protected readonly plan: LoadPlan;
  protected readonly measurement: Measurement;
  protected connections: readonly Connection[] = [];
  protected isStopping = false;
  readonly #requests: readonly Buffer[];
  readonly #onFailed: (error: Error) => void;
  #next = 0;
  #underWay = 0;
  #onIdle: (() => void) | undefined;

  constructor(plan: LoadPlan, measurement: Measurement, onFailed: (error: Error) => void) {
    this.plan = plan;
    this.measurement = measurement;
    this.#requests = plan.requests.map((request) => Buffer.from(request, "latin1"));
    this.#onFailed = onFailed;
  }

  async connect(): Promise<void> {
    this.connections = Array.from({ length: this.plan.connections }, () => new Connection(this.plan.port, this));
    await Promise.all(this.connections.map((connection) => connection.opened()));
  }

  abstract start(): void;
  /** A connection is free for its next request. */
  protected abstract onFree(connection: Connection): void;

  protected send(connection: Connection, dueAtMs: number): void {
    const request = this.#requests[this.#next];
    if (request === undefined) throw new Error("A plan has at least one request");
    this.#next = (this.#next + 1) % this.#requests.length;
    this.#underWay += 1;
    connection.dueAtMs = dueAtMs;
    connection.send(request);
  }

  onAnswer(connection: Connection, status: number): void {
    this.#underWay -= 1;
    this.measurement.count(status, connection.dueAtMs);
    if (!this.isStopping) this.onFree(connection);
    else if (this.#underWay === 0) this.#onIdle?.();
  }

  /** A benchmark whose connections break measures something else. */
  onLost(_connection: Connection, reason: string): void {
    this.#onFailed(new Error(`A connection was lost: ${reason}`));
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    for (const connection of this.connections) connection.close();
  }
}

/** Every connection always has one request under way. */
export class ClosedLoop extends ConnectedLoop {
  start(): void {
    for (const connection of this.connections) this.onFree(connection);
  }

  protected onFree(connection: Connection): void {
    this.send(connection, performance.now());
  }
}

const WAKE_EVERY_MS = 0.1;

/** Requests fall due at a fixed rate; one that finds no free connection waits, and its waiting counts. */
export class OpenLoop extends ConnectedLoop {
  readonly #flag = new Int32Array(new SharedArrayBuffer(8));
  readonly #free: Connection[] = [];
  #pacer: Worker | undefined;
  #intervalMs = 0;
  #nextDueMs = 0;

  start(): void {
    const { ratePerSecond } = this.plan;
    if (ratePerSecond === undefined) throw new Error("An open loop has a rate");
    this.#intervalMs = 1_000 / ratePerSecond;
    this.#nextDueMs = performance.now();
    this.#free.push(...this.connections);
    const workerData = { flag: this.#flag, everyMs: WAKE_EVERY_MS };
    this.#pacer = new Worker(new URL("./pacer.js", import.meta.url), { workerData });
    this.#pacer.on("message", () => {
      Atomics.store(this.#flag, 0, 0);
      this.#sendDue();
    });
  }

  override async stop(): Promise<void> {
    await this.#pacer?.terminate();
    await super.stop();
  }

  protected onFree(connection: Connection): void {
    this.#free.push(connection);
    this.#sendDue();
  }

  #sendDue(): void {
    if (this.isStopping) return;
    const nowMs = performance.now();
    while (this.#nextDueMs <= nowMs) {
      const connection = this.#free.pop();
      if (connection === undefined) {
        const queued = Math.floor((nowMs - this.#nextDueMs) / this.#intervalMs);
        if (queued > this.measurement.queuedMax) this.measurement.queuedMax = queued;
        return;
      }
      this.send(connection, this.#nextDueMs);
      this.#nextDueMs += this.#intervalMs;
    }
  }
}
