import { cpus } from "node:os";
import { delay } from "@tollgate/kernel";

const WINDOW_MS = 400;
const IDLE_MIN = 0.85;

/** Resolves when all cores have been all but idle for a moment, or when that does not happen in time. */
export async function waitUntilQuiet(timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let before = readTimes(); Date.now() < deadline; ) {
    await delay(WINDOW_MS);
    const after = readTimes();
    if ((after.idle - before.idle) / (after.all - before.all) >= IDLE_MIN) return;
    before = after;
  }
}

function readTimes(): { idle: number; all: number } {
  let idle = 0;
  let all = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, all };
}
