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

type KeyAnswer = KeyResult | { readonly keys: number; readonly problem: string };

/**
 * Whether admitting a call costs the same with a thousand keys and with a million.
 * @param callMicros what a whole call costs the gateway, if that was measured
 */
export async function benchKeys(place: BenchPlace, callMicros: number | undefined): Promise<Section> {
  const few = await admit(place, FEW);
  const many = await admit(place, MANY);
  return {
    title: "Keys: the cost of admission",
    about:
      "In process: the key's hash, the look-up, the standing of the key and the reservation on a warm budget, for random keys, each of an account of its own.",
    columns: ["in the cache", "ns an admission", "admissions/s", "core when idle", "bytes a key"],
    rows: [few, many].map(toRow),
    goals: [toGoal(few, many)],
    notes: [
      "“Core when idle” is what the gateway's own housekeeping takes of its core when nobody calls.",
      ...[few, many].flatMap((answer) =>
        "problem" in answer ? [`**${whole(answer.keys)} keys failed:** ${answer.problem}`] : [],
      ),
      ...describeShare(few, many, callMicros),
    ],
  };
}

const nsOf = (result: KeyResult): number => median(result.admissionNs);

function toRow(answer: KeyAnswer): string[] {
  const name = `${whole(answer.keys)} keys`;
  if ("problem" in answer) return [name, "failed", "–", "–", "–"];
  const ns = nsOf(answer);
  return [name, whole(ns), whole(1e9 / ns), shown(answer.housekeepingShare, percent), whole(answer.bytesPerKey)];
}

function toGoal(few: KeyAnswer, many: KeyAnswer): Goal {
  const about = { what: `${whole(MANY)} keys compared with ${whole(FEW)}`, goal: `≤ ${times(RATIO_MAX)}` };
  if ("problem" in few || "problem" in many) return { ...about, seen: "failed", isReached: false };
  const ratio = nsOf(many) / nsOf(few);
  return { ...about, seen: times(ratio), isReached: judge(ratio <= RATIO_MAX, [few.others, many.others]) };
}

function describeShare(few: KeyAnswer, many: KeyAnswer, callMicros: number | undefined): string[] {
  if (callMicros === undefined || "problem" in few || "problem" in many) return [];
  const share = (nsOf(many) - nsOf(few)) / 1_000 / callMicros;
  return [
    `A whole call costs ${fixed(callMicros, 1)} µs of the gateway's core, so with ${whole(MANY)} keys in use at random a call costs ${percent(share)} more.`,
  ];
}

async function admit(place: BenchPlace, keys: number): Promise<KeyAnswer> {
  await place.quiet();
  const plan: KeyPlan = { keys, admissions: place.durations.keyAdmissions, rounds: place.durations.rounds };
  const admissions = new BenchProcess({
    name: `keys-${keys}`,
    program: "keys",
    core: SERVER_CORE,
    logDir: place.workDir,
    nodeArgs: ["--expose-gc", "--max-old-space-size=12288"],
    args: [JSON.stringify(plan)],
  });
  try {
    const result = await admissions.nextResult<KeyResult>(TIMEOUT_MS);
    place.log(`${whole(keys)} keys: ${whole(nsOf(result))} ns an admission`);
    return result;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    place.log(`${whole(keys)} keys: ${problem}`);
    return { keys, problem };
  } finally {
    await admissions.running.stop("SIGKILL", 0);
  }
}
