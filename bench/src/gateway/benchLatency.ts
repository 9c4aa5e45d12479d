import type { LoadResult } from "../load/loadPlan.ts";
import type { BenchPlace } from "../place.ts";
import { fixed, median, medianOf, percent, shown, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import { judge } from "../report/section.ts";
import type { Field } from "./candidates.ts";
import { CONNECTIONS } from "./candidates.ts";
import { assertAllCounted } from "./countedCalls.ts";

const ADDED_P50_MS_MAX = 0.2;
const ADDED_P99_MS_MAX = 1;
const SETTLE_SECONDS = 1;
/** A pause of the machine decides what a run's slowest hundredth is, so it takes more of them than where rates are compared. */
const PAIRS_A_ROUND = 3;

/** What the gateway adds to a call at half of its peak, over the bare proxy at the same rate. */
export async function benchLatency(field: Field, place: BenchPlace, peakPerSecond: number): Promise<Section> {
  const { seconds } = place.durations;
  const rounds = place.durations.rounds * PAIRS_A_ROUND;
  const ratePerSecond = Math.round(peakPerSecond / 2);
  const pairs: { readonly bare: LoadResult; readonly product: LoadResult }[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const load = { mode: "open", ratePerSecond, warmupSeconds: SETTLE_SECONDS, seconds } as const;
    const bare = await field.load("b", load);
    const product = await field.load("d", load);
    pairs.push({ bare, product });
    place.log(`round ${round} p50 ${bare.p50Ms} and ${product.p50Ms} ms, p99 ${bare.p99Ms} and ${product.p99Ms} ms`);
  }
  await assertAllCounted(field.product.database, field.product.projectId, field.answeredByProduct);
  const added = (value: (result: LoadResult) => number): number =>
    median(pairs.map(({ bare, product }) => value(product) - value(bare)));
  const addedP50 = added((result) => result.p50Ms);
  const addedP99 = added((result) => result.p99Ms);
  const others = [pairs.map(({ bare }) => bare), pairs.map(({ product }) => product)].map((runs) =>
    medianOf(runs, (run) => run.othersOnCore),
  );
  const row = (name: string, results: readonly LoadResult[]): string[] => [
    name,
    ...[
      (result: LoadResult) => result.p50Ms,
      (result: LoadResult) => result.p90Ms,
      (result: LoadResult) => result.p99Ms,
      (result: LoadResult) => result.maxMs,
    ].map((value) => fixed(median(results.map(value)), 2)),
    shown(
      medianOf(results, (result) => result.serverBusy),
      percent,
    ),
    shown(
      medianOf(results, (result) => result.othersOnCore),
      percent,
    ),
  ];
  return {
    title: "Gateway: added latency at half of its peak",
    about: `Open loop at ${whole(ratePerSecond)} requests a second over ${CONNECTIONS} connections; latency counts from when a request was due, so waiting counts. Median of ${rounds}.`,
    columns: ["candidate", "p50 ms", "p90 ms", "p99 ms", "max ms", "busy", "others"],
    rows: [
      row(
        `(b) ${field.candidate("b").name}`,
        pairs.map(({ bare }) => bare),
      ),
      row(
        `(d) ${field.candidate("d").name}`,
        pairs.map(({ product }) => product),
      ),
    ],
    goals: [
      {
        what: "added p50",
        goal: `≤ ${ADDED_P50_MS_MAX} ms`,
        seen: `${fixed(addedP50, 2)} ms`,
        isReached: judge(addedP50 <= ADDED_P50_MS_MAX, others),
      },
      {
        what: "added p99",
        goal: `≤ ${ADDED_P99_MS_MAX} ms`,
        seen: `${fixed(addedP99, 2)} ms`,
        isReached: judge(addedP99 <= ADDED_P99_MS_MAX, others),
      },
    ],
    notes: [
      "While (d) is measured, its worker and PostgreSQL fold on the load generator's core, at the lowest priority; what they make it wait all the same counts against (d).",
    ],
  };
}
