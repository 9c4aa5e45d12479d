import { readdirSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { familyOf } from "./family.ts";

const LOWEST = constants.priority.PRIORITY_LOW;

/**
 * Lets everything else on their core go first: these processes, what they started, and what they will start, get what is
 * left of it. Linux only; elsewhere nothing happens.
 */
export function moveToBackground(pids: readonly number[]): void {
  if (process.platform !== "linux") return;
  for (const pid of familyOf(pids)) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), LOWEST);
    lowerGroup(pid);
  }
}

/** Where the kernel groups processes by session, it compares priorities within a group only, and groups by their own. */
function lowerGroup(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, `${LOWEST}`);
  } catch {
    // It does not group them.
  }
}
