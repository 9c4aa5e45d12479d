import type { LoadResult } from "../load/loadPlan.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, median, medianOf, percent, shown, times, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { Rounds } from "./benchGateway.ts";
import { ratioOf } from "./benchGateway.ts";
import type { Field, Letter } from "./candidates.ts";
import { assertAllCounted } from "./countedCalls.ts";
import { STREAM_PATH } from "./seedProduct.ts";

const OF_BARE_MIN = 0.9;
const CONNECTIONS = 8;
const SETTLE_SECONDS = 0.5;
const LETTERS = ["b", "d"] as const satisfies readonly Letter[];

/** Answers of a mebibyte, which stream through both: what the gateway costs a byte, beside what it costs a call. */
export async function benchStream(field: Field, place: BenchPlace): Promise<Section> {
  const { warmupSeconds, seconds, rounds } = place.durations;
  const load = { mode: "closed", path: STREAM_PATH, connections: CONNECTIONS } as const;
  const results = new Map<Letter, LoadResult[]>(LETTERS.map((letter) => [letter, []]));
  for (const letter of LETTERS) await field.load(letter, { ...load, warmupSeconds: 0, seconds: warmupSeconds });
  for (let round = 1; round <= rounds; round += 1) {
    for (const letter of LETTERS) {
      const result = await field.load(letter, { ...load, warmupSeconds: SETTLE_SECONDS, seconds });
      results.get(letter)?.push(result);
      place.log(`round ${round} (${letter}) ${whole(result.perSecond)} MiB/s`);
    }
  }
  await assertAllCounted(field.product.database, field.product.projectId, field.answeredByProduct);
  const peaks: Rounds = results;
  const ofBare = ratioOf(peaks, "d", "b", (result) => result.perSecond);
  const byCpu = ratioOf(peaks, "b", "d", (result) => result.serverMicrosPerRequest ?? Number.NaN);
  const others = LETTERS.map((letter) => medianOf(results.get(letter), (result) => result.othersOnCore));
  return {
    title: "Gateway: a streamed mebibyte",
    about: `Closed loop, ${CONNECTIONS} keep-alive connections, GET of 1 MiB with a key, from an upstream that sends as fast as it is read; both stream. Median of ${rounds}; ratios are medians of neighbouring runs.`,
    columns: ["candidate", "MiB/s", "CPU µs a MiB", "p50 ms", "p99 ms", "busy", "others"],
    rows: LETTERS.map((letter) => {
      const own = results.get(letter) ?? [];
      return [
        `(${letter}) ${field.candidate(letter).name}`,
        whole(median(own.map((result) => result.perSecond))),
        shown(
          medianOf(own, (result) => result.serverMicrosPerRequest),
          whole,
        ),
        fixed(median(own.map((result) => result.p50Ms)), 2),
        fixed(median(own.map((result) => result.p99Ms)), 2),
        shown(
          medianOf(own, (result) => result.serverBusy),
          percent,
        ),
        shown(
          medianOf(own, (result) => result.othersOnCore),
          percent,
        ),
      ];
    }),
    goals: [
      {
        what: "(d) of (b)",
        goal: `≥ ${OF_BARE_MIN}`,
        seen: `${fixed(ofBare, 2)}; by CPU ${times(byCpu)}`,
        isReached: judge(ofBare >= OF_BARE_MIN, others),
      },
    ],
    notes: [],
  };
}
