import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { whole } from "../report/numbers.ts";
import type { Section } from "../report/section.ts";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const FUNCTIONS_MAX = 40;
/** Not work, or not to be had: the profiler's own names. */
const IDLE = new Set(["(idle)", "(root)"]);

/** The functions in which a profiled process spent its time, by their own time. The profile is written when it exits. */
export async function readTopFunctions(dir: string, calls: number): Promise<Section> {
  const file = (await readdir(dir)).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error(`There is no profile in ${dir}`);
  const profile = JSON.parse(await readFile(path.join(dir, file), "utf8")) as CpuProfile;
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => [
      id,
      callFrame.functionName === "" || !callFrame.functionName.startsWith("(")
        ? `${callFrame.functionName || "anonymous"} ${path.basename(callFrame.url)}:${callFrame.lineNumber + 1}`
        : callFrame.functionName,
    ]),
  );
  const selfMicros = new Map<string, number>();
  let total = 0;
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? "?";
    if (IDLE.has(name)) continue;
    const micros = profile.timeDeltas[index] ?? 0;
    total += micros;
    selfMicros.set(name, (selfMicros.get(name) ?? 0) + micros);
  }
  const rows = [...selfMicros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, FUNCTIONS_MAX)
    .map(([name, micros]) => [name, ((micros / total) * 100).toFixed(1), (micros / calls).toFixed(2)]);
  return {
    title: "Gateway: where its time goes",
    about: `Own time by function over ${whole(calls)} calls, from V8's sampling profiler, which itself costs a tenth or so.`,
    columns: ["function", "% of busy time", "µs a call"],
    rows,
    goals: [],
    notes: [],
  };
}
