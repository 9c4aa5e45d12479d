import { z } from "zod";

/** Where each setting is: `/tollgate/config/<name>` holds the change that is in force. */
export const CONFIG_PREFIX = "/tollgate/config/";
/** Where the past of each setting is: `/tollgate/config-history/<name>/<revision>`, counted from 1. */
export const CONFIG_HISTORY_PREFIX = "/tollgate/config-history/";

const changeSchema = z.object({
  /** Tells one change from every other, so that whoever keeps a copy keeps it once. */
  id: z.string().min(1),
  revision: z.int().min(1),
  /** JSON, as it is stored: micros as a decimal string. */
  value: z.union([z.string(), z.number(), z.boolean(), z.null()]),
  /** ISO 8601. */
  at: z.iso.datetime(),
  /** Who did it. */
  actor: z.string(),
  /** The request that asked for it. */
  requestId: z.string(),
  /** The revision whose value was taken again, if that is what the change was. */
  rolledBackTo: z.int().min(0).optional(),
});

/** One change of a setting, as the store holds it. */
export type SettingChange = z.output<typeof changeSchema>;

export interface NamedChange {
  readonly name: string;
  readonly change: SettingChange;
}

export function historyPrefix(name: string): string {
  return `${CONFIG_HISTORY_PREFIX}${name}/`;
}

export function historyKey(name: string, revision: number): string {
  return `${historyPrefix(name)}${revision}`;
}

/** The setting that a key of the history is about. */
export function nameOfHistoryKey(key: string): string {
  return key.slice(CONFIG_HISTORY_PREFIX.length, key.lastIndexOf("/"));
}

/** Reads a change; undefined for text that this package did not write. */
export function toChange(text: string): SettingChange | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = changeSchema.safeParse(json);
  return parsed.success ? parsed.data : undefined;
}
