import { delay } from "@tollgate/kernel";
import type { BenchPlace } from "../place.ts";
import { readResidentBytes } from "../processes/cpuTime.ts";
import { fixed, slope, whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import type { Field } from "./candidates.ts";
import { assertAllCounted } from "./countedCalls.ts";

const SAMPLE_MS = 500;
const SAMPLES_PER_WINDOW = 20;
/** What a process needs to reach its working size is not a leak. */
const IGNORED_SHARE = 0.2;
const MIB = 2 ** 20;
const SLOPE_MIB_PER_MINUTE_MAX = 1;

/** Whether the gateway's memory grows while it serves half of its peak. */
export async function benchMemory(field: Field, place: BenchPlace, peakPerSecond: number): Promise<Section> {
  const seconds = place.durations.memorySeconds;
  const ratePerSecond = Math.round(peakPerSecond / 2);
  const { pid } = field.candidate("d");
  const samples: number[] = [];
  let isLoading = true;
  const load = field.load("d", { mode: "open", ratePerSecond, warmupSeconds: 1, seconds }).finally(() => {
    isLoading = false;
  });
  while (isLoading) {
    const bytes = readResidentBytes(pid);
    if (bytes !== undefined) samples.push(bytes);
    await Promise.race([delay(SAMPLE_MS), load.catch(() => undefined)]);
  }
  const result = await load;
  await assertAllCounted(field.product.database, field.product.projectId, field.answeredByProduct);
  const windows = lowestByWindow(samples.slice(Math.floor(samples.length * IGNORED_SHARE)));
  const perMinute = (slope(windows) / MIB) * 60;
  const perCall = (slope(windows) / ratePerSecond) as number;
  return {
    title: "Gateway: memory over time",
    about: `${whole(seconds)} seconds of the open loop at ${whole(ratePerSecond)} requests a second (${whole(result.answered)} calls). The slope is of the least resident memory of every ten seconds, without the first fifth.`,
    columns: ["", "MiB"],
    rows: [
      ["resident at the beginning", fixed((samples[0] ?? 0) / MIB, 1)],
      ["resident at the end", fixed((samples.at(-1) ?? 0) / MIB, 1)],
      ["resident at most", fixed(Math.max(...samples) / MIB, 1)],
    ],
    goals: [
      {
        what: "slope",
        goal: `about 0 (≤ ${SLOPE_MIB_PER_MINUTE_MAX} MiB a minute)`,
        seen: `${fixed(perMinute, 2)} MiB a minute, ${fixed(perCall, 2)} bytes a call`,
        isReached: perMinute <= SLOPE_MIB_PER_MINUTE_MAX,
      },
    ],
    notes: [],
  };
}

/** The least of every window, by seconds: what is left after a collection, without the saw's teeth. */
function lowestByWindow(samples: readonly number[]): (readonly [number, number])[] {
  const windows: (readonly [number, number])[] = [];
  for (let start = 0; start + SAMPLES_PER_WINDOW <= samples.length; start += SAMPLES_PER_WINDOW) {
    const least = Math.min(...samples.slice(start, start + SAMPLES_PER_WINDOW));
    windows.push([(start * SAMPLE_MS) / 1_000, least]);
  }
  return windows;
}
