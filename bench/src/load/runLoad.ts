import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { BenchPlace } from "../place.ts";
import { OTHER_CORE } from "../processes/cores.ts";
import { BenchProcess } from "../processes/startProcess.ts";
import type { LoadPlan, LoadResult } from "./loadPlan.ts";

const SLACK_MS = 30_000;

/**
 * Carries out a plan in a process of its own, on the core that is not the server's.
 * @throws Error if a connection breaks, or if any answer is not 200: a benchmark of refusals is void
 */
export async function runLoad(plan: LoadPlan, place: BenchPlace): Promise<LoadResult> {
  const { workDir } = place;
  await place.quiet();
  const planFile = path.join(workDir, "load-plan.json");
  await writeFile(planFile, JSON.stringify(plan));
  const load = new BenchProcess({
    name: "load",
    program: "load",
    core: OTHER_CORE,
    logDir: workDir,
    args: [planFile],
  });
  const result = await load.nextResult<LoadResult>((plan.warmupSeconds + plan.seconds) * 1_000 + SLACK_MS);
  await load.running.closed;
  const statuses = Object.keys(result.statuses);
  if (statuses.some((status) => status !== "200")) {
    throw new Error(`Not all answers were 200: ${JSON.stringify(result.statuses)}`);
  }
  return result;
}
