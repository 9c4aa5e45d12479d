import { foldCalls, foldedPush, PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { choosePort } from "@tollgate/dev/servers";
import { delay, randomBase62, silentLogger, systemClock } from "@tollgate/kernel";
import { PushBus, Queues } from "@tollgate/messaging";
import type { CallBatch } from "@tollgate/services/metering";
import { RECORD_SEPARATOR } from "@tollgate/services/metering";
import { productEnv, waitUntilAnswers } from "../gateway/startProduct.ts";
import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { CoreWatch } from "../processes/cpuTime.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import { assertFolded, CallSource } from "./accounts.ts";
import type { FoldResult } from "./foldPlan.ts";
import { toFoldResult } from "./foldPlan.ts";

const STALL_MS = 20_000;

/**
 * The same from end to end: a real worker process takes batches from the metering queue, folds them and says so. They are in
 * the queue when the time begins, as after a while without workers: those who send them have machines of their own.
 */
export async function foldThroughQueue(options: {
  readonly place: BenchPlace;
  readonly servers: RunningServers;
  readonly database: Database;
  readonly accounts: number;
  readonly calls: number;
  readonly batchCalls: number;
}): Promise<FoldResult> {
  const { place, servers, database, batchCalls } = options;
  const port = await choosePort();
  const worker = new BenchProcess({
    name: "fold-worker",
    program: "workers",
    core: SERVER_CORE,
    logDir: place.workDir,
    env: { ...productEnv(servers, randomBase62(48)), WORKERS_HOST: "127.0.0.1", WORKERS_PORT: `${port}` },
  });
  await waitUntilAnswers(worker, `http://127.0.0.1:${port}/readyz`);
  const source = await CallSource.create(database, options.accounts);
  const perPartition = Math.ceil(options.calls / batchCalls / source.partitions.length);
  const makeAll = (count: number): Map<string, CallBatch[]> =>
    new Map(
      source.partitions.map((partition) => [
        `${source.runId}/${partition}`,
        Array.from({ length: count }, () => source.nextBatch(partition, batchCalls, systemClock.nowMs())),
      ]),
    );
  const warmUp = makeAll(2);
  const batches = makeAll(perPartition);
  const backlog = new Backlog(servers);
  try {
    await backlog.queue(warmUp);
    await backlog.work();
    await backlog.queue(batches);
    const watch = new CoreWatch(worker.pid);
    await backlog.work();
    const use = watch.stop();
    const calls = perPartition * source.partitions.length * batchCalls;
    await assertFolded(database, source, calls + 2 * source.partitions.length * batchCalls);
    return toFoldResult(calls, use);
  } finally {
    await backlog.close();
    await worker.stop();
  }
}

/** Batches that wait for a worker. */
class Backlog {
  readonly #queues: Queues;
  readonly #bus: PushBus;
  /** The last call of each source that is not folded. */
  readonly #waiting = new Map<string, number>();
  #onFolded: () => void = () => undefined;

  constructor(servers: RunningServers) {
    this.#queues = new Queues({ redisUrl: servers.redisUrl, onError: (error) => process.emitWarning(error) });
    this.#bus = new PushBus({ url: servers.natsUrl, name: "bench", logger: silentLogger });
    this.#bus.subscribe(PUSH_SUBJECTS.folded, (data) => {
      const { source, through } = foldedPush.parse(data);
      if (through >= (this.#waiting.get(source) ?? Number.POSITIVE_INFINITY)) this.#waiting.delete(source);
      this.#onFolded();
    });
  }

  /** Queues the batches of all sources in turn, each source's in its order, while no worker takes any. */
  async queue(streams: ReadonlyMap<string, readonly CallBatch[]>): Promise<void> {
    while (!this.#bus.isConnected) await delay(10);
    await this.#queues.queue(foldCalls.queue).pause();
    const rounds = Math.max(...[...streams.values()].map((batches) => batches.length));
    for (let round = 0; round < rounds; round += 1) {
      for (const [source, batches] of streams) {
        const batch = batches[round];
        if (batch === undefined) continue;
        await this.#queues.enqueue(foldCalls, batch, { id: `${source}-${batch.sequence}`, keep: false });
        this.#waiting.set(source, batch.sequence + batch.records.split(RECORD_SEPARATOR).length - 1);
      }
    }
  }

  /** Lets workers take them, until all are folded. @throws Error when nothing is folded for {@link STALL_MS} */
  async work(): Promise<void> {
    await this.#queues.queue(foldCalls.queue).resume();
    await new Promise<void>((resolve, reject) => {
      let stall: NodeJS.Timeout | undefined;
      this.#onFolded = () => {
        clearTimeout(stall);
        if (this.#waiting.size === 0) resolve();
        else stall = setTimeout(() => reject(new Error(`Nothing was folded for ${STALL_MS} ms`)), STALL_MS);
      };
      this.#onFolded();
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#queues.close(), this.#bus.close()]);
  }
}
