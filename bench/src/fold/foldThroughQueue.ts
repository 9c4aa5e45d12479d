import { foldCalls, foldedPush, PUSH_SUBJECTS } from "@tollgate/contracts";
import type { Database } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import { choosePort } from "@tollgate/dev/servers";
import { delay, randomBase62, silentLogger, systemClock } from "@tollgate/kernel";
import { PushBus, Queues } from "@tollgate/messaging";
import type { CallBatch } from "@tollgate/services/metering";
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
 * The same from end to end: batches go to the metering queue as a gateway's shipper sends them, one under way a partition,
 * and a real worker process folds them and says so.
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
  const shipper = new Shipper(servers, batchCalls);
  try {
    await shipper.ship(warmUp);
    const watch = new CoreWatch(worker.pid);
    await shipper.ship(batches);
    const use = watch.stop();
    const calls = perPartition * source.partitions.length * batchCalls;
    await assertFolded(database, source, calls + 2 * source.partitions.length * batchCalls);
    return toFoldResult(calls, use);
  } finally {
    await shipper.close();
    await worker.stop();
  }
}

/** What the gateway's shipper does, without a spool: the next batch of a stream goes when the last one is folded. */
class Shipper {
  readonly #queues: Queues;
  readonly #bus: PushBus;
  readonly #batchCalls: number;
  #onFolded: (source: string, through: number) => void = () => undefined;

  constructor(servers: RunningServers, batchCalls: number) {
    this.#batchCalls = batchCalls;
    this.#queues = new Queues({ redisUrl: servers.redisUrl, onError: (error) => process.emitWarning(error) });
    this.#bus = new PushBus({ url: servers.natsUrl, name: "bench", logger: silentLogger });
    this.#bus.subscribe(PUSH_SUBJECTS.folded, (data) => {
      const { source, through } = foldedPush.parse(data);
      this.#onFolded(source, through);
    });
  }

  /** @throws Error when nothing is folded for {@link STALL_MS} */
  async ship(streams: ReadonlyMap<string, readonly CallBatch[]>): Promise<void> {
    while (!this.#bus.isConnected) await delay(10);
    const waiting = new Map([...streams].map(([source, batches]) => [source, [...batches]]));
    await new Promise<void>((resolve, reject) => {
      let stall: NodeJS.Timeout | undefined;
      const watch = (): void => {
        clearTimeout(stall);
        stall = setTimeout(() => reject(new Error(`Nothing was folded for ${STALL_MS} ms`)), STALL_MS);
      };
      const finish = (): void => {
        clearTimeout(stall);
        resolve();
      };
      const sendNext = (source: string): void => {
        const batch = waiting.get(source)?.[0];
        if (batch === undefined) {
          waiting.delete(source);
          if (waiting.size === 0) finish();
          return;
        }
        const id = `${batch.source}-${batch.sequence}`;
        this.#queues.enqueue(foldCalls, batch, { id, keep: false }).catch(reject);
      };
      this.#onFolded = (source, through) => {
        const batch = waiting.get(source)?.[0];
        if (batch === undefined || through < batch.sequence + this.#batchCalls - 1) return;
        watch();
        waiting.get(source)?.shift();
        sendNext(source);
      };
      watch();
      for (const source of waiting.keys()) sendNext(source);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#queues.close(), this.#bus.close()]);
  }
}
