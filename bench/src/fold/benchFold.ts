import { createDatabase, migrateDatabase } from "@tollgate/db";
import type { RunningServers } from "@tollgate/dev/servers";
import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import { fixed, percent, shown, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { FoldAnswer, FoldPlan } from "./foldPlan.ts";
import { foldThroughQueue } from "./foldThroughQueue.ts";

/** As many as go into the largest batch of a gateway, which is what it sends when there is a backlog. */
const BATCH_CALLS = 1_450;
const ACCOUNTS = 1_000;
const CONCURRENCY = 4;
const TIMEOUT_MS = 300_000;
const PER_SECOND_MIN = 50_000;
/** One account is one stream, and slower: fewer calls take as long. */
const HOT_SHARE = 0.5;

interface Run {
  readonly name: string;
  readonly answer: FoldAnswer;
}

/** How many calls a second one worker counts and charges. A run that fails is shown as one, and the others go on. */
export async function benchFold(place: BenchPlace, servers: RunningServers): Promise<Section> {
  await migrateDatabase(servers.databaseUrl);
  const { foldCalls: calls } = place.durations;
  const base = { databaseUrl: servers.databaseUrl, batchCalls: BATCH_CALLS, accounts: ACCOUNTS, calls };
  const directly = async (name: string, plan: FoldPlan): Promise<Run> => ({
    name,
    answer: await foldDirectly(place, plan),
  });
  const many = `foldCalls, ${whole(ACCOUNTS)} accounts`;
  const sideBySide = await directly(`${many}, ${CONCURRENCY} side by side`, { ...base, concurrency: CONCURRENCY });
  const oneByOne = await directly(`${many}, one by one`, { ...base, concurrency: 1 });
  const hotPlan = { ...base, accounts: 1, calls: calls * HOT_SHARE, concurrency: CONCURRENCY };
  const hot = await directly("foldCalls, one hot account", hotPlan);
  const queued: Run = {
    name: `from end to end: BullMQ, a worker process, ${whole(ACCOUNTS)} accounts`,
    answer: await foldQueued(place, servers, calls),
  };
  const runs = [sideBySide, oneByOne, hot, queued];
  return {
    title: "Fold: calls counted and charged by one worker",
    about: `Batches of ${whole(BATCH_CALLS)} calls; an account has one key and calls two endpoints at random. Every call is charged to a wallet; raw rows, hourly usage, accruals and budgets are written, and afterwards the books are compared with what was sent. PostgreSQL on the other core.`,
    columns: ["", "calls/s", "calls", "seconds", "busy", "others"],
    rows: runs.map(toRow),
    goals: [sideBySide, queued].map(toGoal),
    notes: [
      "From end to end the batches are in the queue when the time begins. The worker has one core; PostgreSQL, Redis and NATS share the other.",
      "A hot account is one stream: its batches are folded one after the other, whatever the concurrency.",
      ...runs.flatMap(({ name, answer }) => ("problem" in answer ? [`**${name} failed:** ${answer.problem}`] : [])),
    ],
  };
}

function toRow({ name, answer }: Run): string[] {
  if ("problem" in answer) return [name, "failed", "–", "–", "–", "–"];
  const { perSecond, calls, seconds, busy, others } = answer;
  return [name, whole(perSecond), whole(calls), fixed(seconds, 1), shown(busy, percent), shown(others, percent)];
}

function toGoal({ name, answer }: Run): Goal {
  const goal = `≥ ${whole(PER_SECOND_MIN)} calls/s`;
  if ("problem" in answer) return { what: name, goal, seen: "failed", isReached: false };
  const isReached = judge(answer.perSecond >= PER_SECOND_MIN, [answer.others]);
  return { what: name, goal, seen: whole(answer.perSecond), isReached };
}

async function foldDirectly(place: BenchPlace, plan: FoldPlan): Promise<FoldAnswer> {
  await place.quiet();
  const fold = new BenchProcess({
    name: "fold",
    program: "fold",
    core: SERVER_CORE,
    logDir: place.workDir,
    nodeArgs: ["--max-old-space-size=8192"],
    args: [JSON.stringify(plan)],
  });
  const answer = await fold.nextResult<FoldAnswer>(TIMEOUT_MS);
  await fold.running.closed;
  place.log(
    `${whole(plan.accounts)} account(s), ${plan.concurrency} side by side: ${"problem" in answer ? answer.problem : `${whole(answer.perSecond)} calls/s`}`,
  );
  return answer;
}

async function foldQueued(place: BenchPlace, servers: RunningServers, calls: number): Promise<FoldAnswer> {
  await place.quiet();
  const database = createDatabase({ url: servers.databaseUrl, applicationName: "bench", connectionsMax: 2 });
  try {
    return await foldThroughQueue({ place, servers, database, accounts: ACCOUNTS, calls, batchCalls: BATCH_CALLS });
  } catch (error) {
    return { problem: String(error) };
  } finally {
    await database.close();
  }
}
