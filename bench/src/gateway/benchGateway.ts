import type { LoadResult } from "../load/loadPlan.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, median, medianOf, percent, shown, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { Field, Letter } from "./candidates.ts";
import { CONNECTIONS } from "./candidates.ts";
import { assertAllCounted } from "./countedCalls.ts";

const SETTLE_SECONDS = 0.5;
const OF_BARE_MIN = 0.85;
const OF_ASSEMBLED_MIN = 2;

/** Runs of each candidate; the nth runs of all were neighbours in time. */
export type Rounds = ReadonlyMap<Letter, readonly LoadResult[]>;

/** The peak of every candidate: all take turns, so that what else the machine does meets all of them. */
export async function measurePeaks(field: Field, place: BenchPlace): Promise<Rounds> {
  const { warmupSeconds, seconds, rounds } = place.durations;
  const results = new Map<Letter, LoadResult[]>(field.letters.map((letter) => [letter, []]));
  for (const letter of field.letters) {
    await field.load(letter, { mode: "closed", warmupSeconds: 0, seconds: warmupSeconds });
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const letter of field.letters) {
      const result = await field.load(letter, { mode: "closed", warmupSeconds: SETTLE_SECONDS, seconds });
      results.get(letter)?.push(result);
      place.log(`round ${round} (${letter}) ${whole(result.perSecond)} requests/s`);
    }
  }
  return results;
}

/** The peaks of floors and product, and whether every answered call is on the books. */
export async function benchGateway(field: Field, peaks: Rounds): Promise<Section> {
  const { product, answeredByProduct } = field;
  const counted = await assertAllCounted(product.database, product.projectId, answeredByProduct);
  const rows = field.letters.map((letter) => {
    const results = peaks.get(letter) ?? [];
    return [
      `(${letter}) ${field.candidate(letter).name}`,
      whole(median(results.map((result) => result.perSecond))),
      times(ratioOf(peaks, letter, "b", (result) => result.perSecond)),
      shown(
        medianOf(results, (result) => result.serverMicrosPerRequest),
        (micros) => fixed(micros, 1),
      ),
      shown(ratioOf(peaks, "b", letter, cpuOf), times),
      fixed(median(results.map((result) => result.p50Ms)), 2),
      fixed(median(results.map((result) => result.p99Ms)), 2),
      shown(
        medianOf(results, (result) => result.serverBusy),
        percent,
      ),
      shown(
        medianOf(results, (result) => result.othersOnCore),
        percent,
      ),
    ];
  });
  const ofBare = ratioOf(peaks, "d", "b", (result) => result.perSecond);
  const ofAssembled = ratioOf(peaks, "d", "c", (result) => result.perSecond);
  return {
    title: "Gateway: peak on one core",
    about: `Closed loop, ${CONNECTIONS} keep-alive connections, GET with a key, the same cheap upstream for all; (d) is a warm project with rate limits on its key and its tier and a paid endpoint, with its worker folding meanwhile. Median of ${peaks.get("d")?.length ?? 0}; ratios are medians of neighbouring runs.`,
    columns: ["candidate", "requests/s", "of (b)", "CPU µs", "of (b) by CPU", "p50 ms", "p99 ms", "busy", "others"],
    rows,
    goals: [
      {
        what: "(d) of (b)",
        goal: `≥ ${OF_BARE_MIN}`,
        seen: fixed(ofBare, 2),
        isReached: judge(ofBare >= OF_BARE_MIN, othersOf(peaks, ["b", "d"])),
      },
      {
        what: "(d) of (c)",
        goal: `≥ ${OF_ASSEMBLED_MIN}×`,
        seen: times(ofAssembled),
        isReached: judge(ofAssembled >= OF_ASSEMBLED_MIN, othersOf(peaks, ["c", "d"])),
      },
      {
        what: "answered = counted = kept = charged",
        goal: whole(answeredByProduct),
        seen: `${whole(counted.calls)} calls, ${whole(counted.chargedMicros)} micros`,
        isReached: true,
      },
    ],
    notes: [
      "“CPU µs” is the server's processor time a request, its garbage collector included; “by CPU” compares that and hardly minds a busy machine.",
      ...field.notes,
    ],
  };
}

/** The median over the rounds of how one candidate compares with another in the same round. */
export function ratioOf(peaks: Rounds, of: Letter, to: Letter, value: (result: LoadResult) => number): number {
  const others = peaks.get(to) ?? [];
  const ratios = (peaks.get(of) ?? []).flatMap((result, round) => {
    const other = others[round];
    return other === undefined ? [] : [value(result) / value(other)];
  });
  return ratios.length === 0 ? Number.NaN : median(ratios);
}

const cpuOf = (result: LoadResult): number => result.serverMicrosPerRequest ?? Number.NaN;

const othersOf = (peaks: Rounds, letters: readonly Letter[]): (number | undefined)[] =>
  letters.map((letter) => medianOf(peaks.get(letter), (result) => result.othersOnCore));
