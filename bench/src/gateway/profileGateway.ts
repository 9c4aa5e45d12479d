import path from "node:path";
import type { BenchPlace } from "../place.ts";
import type { CpuProfile } from "../processes/profiler.ts";
import { Profiler } from "../processes/profiler.ts";
import { whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";
import type { Field } from "./candidates.ts";
import { assertAllCounted } from "./countedCalls.ts";

const FUNCTIONS_MAX = 45;
/** Not work: the profiler's own names. */
const IDLE = new Set(["(idle)", "(root)"]);

/** The functions in which the warm gateway spends its time, by their own time, and the same by where they are from. */
export async function profileGateway(field: Field, place: BenchPlace, inspectorPort: number): Promise<Section> {
  const { warmupSeconds, seconds } = place.durations;
  await field.load("d", { mode: "closed", warmupSeconds: 0, seconds: warmupSeconds });
  const profiler = await Profiler.connect(inspectorPort);
  const before = field.answeredByProduct;
  await profiler.start();
  await field.load("d", { mode: "closed", warmupSeconds: 0, seconds });
  const profile = await profiler.stop();
  const calls = field.answeredByProduct - before;
  await assertAllCounted(field.product.database, field.product.projectId, field.answeredByProduct);
  const { byFunction, bySource, total } = sumSelfTimes(profile);
  const row = ([name, micros]: readonly [string, number]): string[] => [
    name,
    ((micros / total) * 100).toFixed(1),
    (micros / calls).toFixed(2),
  ];
  return {
    title: "Gateway: where its time goes",
    about: `Own time over ${whole(calls)} calls of the warm gateway, from V8's sampling profiler, which itself costs a tenth or so; by source, then by function.`,
    columns: ["function", "% of busy time", "µs a call"],
    rows: [...largest(bySource, FUNCTIONS_MAX).map(row), ...largest(byFunction, FUNCTIONS_MAX).map(row)],
    goals: [],
    notes: [],
  };
}

const largest = (sums: ReadonlyMap<string, number>, count: number): (readonly [string, number])[] =>
  [...sums].sort(([, a], [, b]) => b - a).slice(0, count);

function sumSelfTimes(profile: CpuProfile): {
  byFunction: ReadonlyMap<string, number>;
  bySource: ReadonlyMap<string, number>;
  total: number;
} {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byFunction = new Map<string, number>();
  const bySource = new Map<string, number>();
  let total = 0;
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined || IDLE.has(frame.functionName)) continue;
    const micros = profile.timeDeltas[index] ?? 0;
    total += micros;
    const isNative = frame.url === "";
    const place = isNative ? "" : ` ${path.basename(frame.url)}:${frame.lineNumber + 1}`;
    add(byFunction, `${frame.functionName || "anonymous"}${place}`, micros);
    add(
      bySource,
      `[${isNative && frame.functionName.startsWith("(") ? frame.functionName : sourceOf(frame.url)}]`,
      micros,
    );
  }
  return { byFunction, bySource, total };
}

function add(sums: Map<string, number>, name: string, micros: number): void {
  sums.set(name, (sums.get(name) ?? 0) + micros);
}

/** `node:http` for the runtime's own modules, the package for those of the registry, the file for the bundle. */
function sourceOf(url: string): string {
  if (url === "") return "native";
  if (url.startsWith("node:")) return url.split("/").slice(0, 2).join("/");
  return /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? path.basename(url);
}
