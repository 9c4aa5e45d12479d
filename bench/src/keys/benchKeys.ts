import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import { fixed, median, percent, shown, times, whole } from "../report/numbers.ts";
import type { Goal, Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { KeyPlan, KeyResult } from "./keyPlan.ts";

const FEW = 1_000;
const MANY = 1_000_000;
const TIMEOUT_MS = 300_000;
const RATIO_MAX = 1.1;

type KeyAnswer = KeyResult | { readonly keys: number; readonly inUse: number; readonly problem: string };

/**
 * Whether admitting a call costs the same with a thousand keys and with a million.
 * @param callMicros what a whole call costs the gateway, if that was measured
 */
export async function benchKeys(place: BenchPlace, callMicros: number | undefined): Promise<Section> {
  const few = await admit(place, FEW, FEW);
  const fewOfMany = await admit(place, MANY, FEW);
  const many = await admit(place, MANY, MANY);
  const answers = [few, fewOfMany, many];
  return {
    title: "Keys: the cost of admission",
    about:
      "In process: the key's hash, the look-up, the standing of the key and the reservation on a warm budget, for random keys of those in use, each of an account of its own.",
    columns: ["in memory", "in use", "ns an admission", "admissions/s", "core when idle", "bytes a key"],
    rows: answers.map(toRow),
    goals: toGoals(few, many, callMicros),
    notes: [
      "“Core when idle” is what the gateway's own housekeeping takes of its core when nobody calls.",
      "A decision takes the same steps with any number of keys. What they add is the way to memory that no cache of the processor holds, and the collector's way past it: a call with any of a million keys goes to some twenty places, most of which were last looked at a million calls ago.",
      ...answers.flatMap((answer) =>
        "problem" in answer ? [`**${whole(answer.keys)} keys failed:** ${answer.problem}`] : [],
      ),
    ],
  };
}

const nsOf = (result: KeyResult): number => median(result.admissionNs);

function toRow(answer: KeyAnswer): string[] {
  const names = [`${whole(answer.keys)} keys`, whole(answer.inUse)];
  if ("problem" in answer) return [...names, "failed", "–", "–", "–"];
  const ns = nsOf(answer);
  return [...names, whole(ns), whole(1e9 / ns), shown(answer.housekeepingShare, percent), whole(answer.bytesPerKey)];
}

function toGoals(few: KeyAnswer, many: KeyAnswer, callMicros: number | undefined): Goal[] {
  const goal = `≤ ${times(RATIO_MAX)}`;
  const what = `${whole(MANY)} keys in use compared with ${whole(FEW)}`;
  if ("problem" in few || "problem" in many) return [{ what, goal, seen: "failed", isReached: false }];
  const others = [few.others, many.others];
  const toGoal = (named: string, ratio: number): Goal => ({
    what: `${what}: ${named}`,
    goal,
    seen: times(ratio),
    isReached: judge(ratio <= RATIO_MAX, others),
  });
  const alone = toGoal("the decision alone", nsOf(many) / nsOf(few));
  if (callMicros === undefined) return [alone];
  const addedMicros = (nsOf(many) - nsOf(few)) / 1_000;
  return [toGoal(`a whole call, of ${fixed(callMicros, 1)} µs`, (callMicros + addedMicros) / callMicros), alone];
}

async function admit(place: BenchPlace, keys: number, inUse: number): Promise<KeyAnswer> {
  await place.quiet();
  const plan: KeyPlan = { keys, inUse, admissions: place.durations.keyAdmissions, rounds: place.durations.rounds };
  const admissions = new BenchProcess({
    name: `keys-${keys}-${inUse}`,
    program: "keys",
    core: SERVER_CORE,
    logDir: place.workDir,
    nodeArgs: ["--expose-gc", "--max-old-space-size=12288"],
    args: [JSON.stringify(plan)],
  });
  try {
    const result = await admissions.nextResult<KeyResult>(TIMEOUT_MS);
    place.log(`${whole(keys)} keys, ${whole(inUse)} in use: ${whole(nsOf(result))} ns an admission`);
    return result;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    place.log(`${whole(keys)} keys: ${problem}`);
    return { keys, inUse, problem };
  } finally {
    await admissions.running.stop("SIGKILL", 0);
  }
}
