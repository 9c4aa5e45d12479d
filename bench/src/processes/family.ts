import { readdirSync, readFileSync } from "node:fs";

/** These processes, what they started, and what that started; none twice. Linux only: elsewhere just these. */
export function familyOf(pids: readonly number[]): number[] {
  if (process.platform !== "linux") return [...pids];
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const parent = readParent(Number(name));
    if (parent !== undefined) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(name)]);
  }
  const family = new Set<number>();
  for (const waiting = [...pids]; waiting.length > 0; ) {
    const pid = waiting.pop() ?? 0;
    family.add(pid);
    waiting.push(...(childrenOf.get(pid) ?? []));
  }
  return [...family];
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
