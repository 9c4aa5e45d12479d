import { createDatabase, migrateDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import { fixed, percent, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { FoldPlan, FoldResult } from "./foldPlan.ts";
import { foldThroughQueue } from "./foldThroughQueue.ts";

/** The largest batch that a gateway sends, which is what it sends when there is a backlog. */
const BATCH_CALLS = 2_000;
const ACCOUNTS = 1_000;
const CONCURRENCY = 4;
const TIMEOUT_MS = 600_000;
const PER_SECOND_MIN = 50_000;
/** One account is one stream, and slower: fewer calls take as long. */
const HOT_SHARE = 0.5;

/** How many calls a second one worker counts and charges. */
export async function benchFold(place: BenchPlace, servers: RunningServers): Promise<Section> {
  await migrateDatabase(servers.databaseUrl);
  const { foldCalls: calls } = place.durations;
  const base = { databaseUrl: servers.databaseUrl, batchCalls: BATCH_CALLS, concurrency: CONCURRENCY };
  const many = await foldDirectly(place, { ...base, accounts: ACCOUNTS, calls });
  const hot = await foldDirectly(place, { ...base, accounts: 1, calls: calls * HOT_SHARE });
  const database = createDatabase({ url: servers.databaseUrl, applicationName: "bench", connectionsMax: 2 });
  let queued: FoldResult;
  try {
    queued = await foldThroughQueue({ place, servers, database, accounts: ACCOUNTS, calls, batchCalls: BATCH_CALLS });
  } finally {
    await database.close();
  }
  const row = (name: string, result: FoldResult): string[] => [
    name,
    whole(result.perSecond),
    whole(result.calls),
    fixed(result.seconds, 1),
    result.busy === undefined ? "–" : percent(result.busy),
    result.others === undefined ? "–" : percent(result.others),
  ];
  return {
    title: "Fold: calls counted and charged by one worker",
    about: `Batches of ${whole(BATCH_CALLS)} calls, every call charged to a wallet, raw rows, hourly usage, accruals and budgets written; afterwards the books are compared with what was sent. PostgreSQL on the other core.`,
    columns: ["", "calls/s", "calls", "seconds", "busy", "others"],
    rows: [
      row(`foldCalls, ${whole(ACCOUNTS)} accounts, ${CONCURRENCY} side by side`, many),
      row("foldCalls, one hot account", hot),
      row(`from end to end: BullMQ, a worker process, ${whole(ACCOUNTS)} accounts`, queued),
    ],
    goals: [goal(`sustained, ${whole(ACCOUNTS)} accounts`, many), goal("from end to end through the queue", queued)],
    notes: ["A hot account is one stream: its batches are folded one after the other, whatever the concurrency."],
  };
}

const goal = (what: string, result: FoldResult): Goal => ({
  what,
  goal: `≥ ${whole(PER_SECOND_MIN)} calls/s`,
  seen: whole(result.perSecond),
  isReached: judge(result.perSecond >= PER_SECOND_MIN, [result.others]),
});

async function foldDirectly(place: BenchPlace, plan: FoldPlan): Promise<FoldResult> {
  const fold = new BenchProcess({
    name: "fold",
    program: "fold",
    core: SERVER_CORE,
    logDir: place.workDir,
    nodeArgs: ["--max-old-space-size=8192"],
    args: [JSON.stringify(plan)],
  });
  const result = await fold.nextResult<FoldResult>(TIMEOUT_MS);
  await fold.running.closed;
  place.log(`${whole(plan.accounts)} account(s): ${whole(result.perSecond)} calls/s`);
  return result;
}
