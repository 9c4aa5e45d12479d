import { z } from "zod";
import type { StoredEntry } from "./store.ts";

/** Where the past of each setting is: `/tollgate/config-history/<name>/<revision>`, counted from 1. */
export const CONFIG_HISTORY_PREFIX = "/tollgate/config-history/";

/** One change of a setting. */
export interface SettingChange {
  readonly revision: number;
  /** JSON, as it is stored. */
  readonly value: unknown;
  /** ISO 8601. */
  readonly at: string;
  readonly actor: string;
  /** The revision whose value was taken again, if that is what the change was. */
  readonly rolledBackTo?: number;
}

const rowSchema = z.object({
  value: z.unknown(),
  at: z.string(),
  actor: z.string(),
  rolledBackTo: z.int().min(0).optional(),
});

export function historyPrefix(name: string): string {
  return `${CONFIG_HISTORY_PREFIX}${name}/`;
}

export function historyKey(name: string, revision: number): string {
  return `${historyPrefix(name)}${revision}`;
}

/** Reads a row of history; undefined for a key or value that this package did not write. */
export function toChange(entry: StoredEntry): SettingChange | undefined {
  const revision = Number(entry.key.slice(entry.key.lastIndexOf("/") + 1));
  if (!Number.isSafeInteger(revision) || revision < 1) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(entry.value);
  } catch {
    return undefined;
  }
  const parsed = rowSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { value, at, actor, rolledBackTo } = parsed.data;
  return { revision, value, at, actor, ...(rolledBackTo === undefined ? {} : { rolledBackTo }) };
}
