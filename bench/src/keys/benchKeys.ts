import type { BenchPlace } from "../place.ts";
import { SERVER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import { fixed, median, percent, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { KeyPlan, KeyResult } from "./keyPlan.ts";

const FEW = 1_000;
const MANY = 1_000_000;
const TIMEOUT_MS = 300_000;
const RATIO_MAX = 1.1;

/**
 * Whether admitting a call costs the same with a thousand keys and with a million.
 * @param callMicros what a whole call costs the gateway, if that was measured
 */
export async function benchKeys(place: BenchPlace, callMicros: number | undefined): Promise<Section> {
  const few = await admit(place, FEW);
  const many = await admit(place, MANY);
  const ns = (result: KeyResult): number => median(result.admissionNs);
  const ratio = ns(many) / ns(few);
  const row = (result: KeyResult): string[] => [
    `${whole(result.keys)} keys`,
    whole(ns(result)),
    whole(1e9 / ns(result)),
    percent(result.housekeepingShare),
    whole(result.bytesPerKey),
  ];
  const ofCall =
    callMicros === undefined
      ? []
      : [
          `A whole call costs ${fixed(callMicros, 1)} µs of the gateway's core, so with ${whole(MANY)} keys in use at random a call costs ${percent((ns(many) - ns(few)) / 1_000 / callMicros)} more: what the processor's caches cannot hold.`,
        ];
  return {
    title: "Keys: the cost of admission",
    about:
      "In process: the key's hash, the look-up, the standing of the key and the reservation on a warm budget, for random keys, each of an account of its own.",
    columns: ["in the cache", "ns an admission", "admissions/s", "core when idle", "bytes a key"],
    rows: [row(few), row(many)],
    goals: [
      {
        what: `${whole(MANY)} keys compared with ${whole(FEW)}`,
        goal: `≤ ${times(RATIO_MAX)}`,
        seen: times(ratio),
        isReached: judge(ratio <= RATIO_MAX, [few.others, many.others]),
      },
    ],
    notes: ["“Core when idle” is what the gateway's own housekeeping takes of its core when nobody calls.", ...ofCall],
  };
}

async function admit(place: BenchPlace, keys: number): Promise<KeyResult> {
  const plan: KeyPlan = { keys, admissions: place.durations.keyAdmissions, rounds: place.durations.rounds };
  const admissions = new BenchProcess({
    name: `keys-${keys}`,
    program: "keys",
    core: SERVER_CORE,
    logDir: place.workDir,
    nodeArgs: ["--expose-gc", "--max-old-space-size=12288"],
    args: [JSON.stringify(plan)],
  });
  const result = await admissions.nextResult<KeyResult>(TIMEOUT_MS);
  await admissions.running.closed;
  place.log(`${whole(keys)} keys: ${whole(median(result.admissionNs))} ns an admission`);
  return result;
}
