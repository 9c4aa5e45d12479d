import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants, setPriority } from "node:os";

const LOWEST = constants.priority.PRIORITY_LOW;

/**
 * Lets everything else on their core go first: these processes, what they started, and what they will start, get what is
 * left of it. Linux only; elsewhere nothing happens.
 */
export function moveToBackground(pids: readonly number[]): void {
  if (process.platform !== "linux") return;
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = readParent(Number(name));
    if (parent !== undefined) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(name)]);
  }
  for (const waiting = [...pids]; waiting.length > 0; ) {
    const pid = waiting.pop() ?? 0;
    waiting.push(...(childrenOf.get(pid) ?? []));
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

function readParent(pid: number): number | undefined {
  if (!Number.isInteger(pid)) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
