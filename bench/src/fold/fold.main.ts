import { createDatabase } from "@tollgate/db";
import { systemClock } from "@tollgate/kernel";
import type { CallBatch } from "@tollgate/services/metering";
import { foldCalls } from "@tollgate/services/metering";
import { CoreWatch } from "../processes/cpuTime.ts";
import { assertFolded, CallSource } from "./accounts.ts";
import type { FoldAnswer, FoldPlan } from "./foldPlan.ts";
import { toFoldResult } from "./foldPlan.ts";

/**
 * Folds made-up calls through the product's own verb, as a worker does: batches of a partition one after the other,
 * those of different partitions side by side. The batches are made first, so that only folding is timed.
 */
const STALL_MS = 15_000;
let alive: NodeJS.Timeout;
const plan = JSON.parse(process.argv[2] ?? "") as FoldPlan;
const database = createDatabase({ url: plan.databaseUrl, applicationName: "bench-fold", connectionsMax: 12 });
const source = await CallSource.create(database, plan.accounts);
const { partitions } = source;
const warmUp = makeBatches(Math.min(plan.calls, plan.batchCalls * partitions.length * 2));
const batches = makeBatches(plan.calls);
const answer: FoldAnswer = await fold().catch((error: unknown) => ({ problem: String(error) }));
process.stdout.write(`${JSON.stringify(answer)}\n`);
// What hangs would keep the process alive.
process.exit(0);

async function fold(): Promise<FoldAnswer> {
  await foldAll(warmUp);
  const watch = new CoreWatch(process.pid);
  await foldAll(batches);
  const use = watch.stop();
  await assertFolded(database, source, count(warmUp) + count(batches));
  return toFoldResult(count(batches), use);
}

function count(all: ReadonlyMap<number, readonly CallBatch[]>): number {
  return [...all.values()].reduce((sum, each) => sum + each.length * plan.batchCalls, 0);
}

function makeBatches(calls: number): Map<number, CallBatch[]> {
  const made = new Map<number, CallBatch[]>(partitions.map((partition) => [partition, []]));
  const perPartition = Math.ceil(calls / plan.batchCalls / partitions.length);
  for (const [partition, list] of made) {
    for (let index = 0; index < perPartition; index += 1) {
      list.push(source.nextBatch(partition, plan.batchCalls, systemClock.nowMs()));
    }
  }
  return made;
}

async function foldAll(all: ReadonlyMap<number, readonly CallBatch[]>): Promise<void> {
  const waiting = [...all.values()];
  const lane = async (): Promise<void> => {
    for (let list = waiting.shift(); list !== undefined; list = waiting.shift()) {
      for (const batch of list) {
        await foldCalls(database, systemClock, batch);
        alive.refresh();
      }
    }
  };
  const stalled = new Promise<never>((_, reject) => {
    alive = setTimeout(() => reject(new Error(`no batch was folded for ${STALL_MS / 1_000} s`)), STALL_MS);
  });
  try {
    await Promise.race([Promise.all(Array.from({ length: plan.concurrency }, lane)), stalled]);
  } finally {
    clearTimeout(alive);
  }
}
