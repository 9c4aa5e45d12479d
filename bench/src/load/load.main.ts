import { readFileSync } from "node:fs";
import { delay } from "@tollgate/kernel";
import type { LoadPlan } from "./loadPlan.ts";
import { ClosedLoop, OpenLoop } from "./loops.ts";
import { Measurement } from "./measurement.ts";

/** The load generator: a process of its own that reads a plan from a file, carries it out and prints what it saw. */
const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as LoadPlan;
const measurement = new Measurement(plan.serverPid);
const fail = (error: Error): never => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
};
const loop = plan.mode === "closed" ? new ClosedLoop(plan, measurement, fail) : new OpenLoop(plan, measurement, fail);
await loop.connect();
loop.start();
await delay(plan.warmupSeconds * 1_000);
measurement.begin();
await delay(plan.seconds * 1_000);
measurement.end();
await loop.stop();
process.stdout.write(`${JSON.stringify(measurement.result())}\n`);
