import type { Logger } from "@tollgate/kernel";
import { z } from "zod";
import type { SettingChange } from "./configHistory.ts";
import { CONFIG_PREFIX, toChange } from "./configHistory.ts";
import type { Setting, SettingsTable, SettingValue } from "./settings.ts";
import type { StoredEntry } from "./store.ts";

/** A setting as operators see it; values are the stored JSON. */
export interface SettingView {
  readonly name: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly description: string;
  /** Of the change that is in force; 0 while nobody has set it. */
  readonly revision: number;
  /** ISO 8601; null while nobody has set it. */
  readonly changedAt: string | null;
  readonly changedBy: string | null;
}

interface Held {
  readonly value: unknown;
  readonly change: SettingChange;
  /** Of the store; 0n for a recorded change, which anything from the store supersedes. */
  readonly storeRevision: bigint;
}

type AnyListener = (value: unknown, previous: unknown) => void;

/** The values in force in this process, and whoever wants to hear of a new one. */
export class SettingValues<Table extends SettingsTable> {
  readonly #table: Table;
  readonly #logger: Logger;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Map<string, Set<AnyListener>>();

  constructor(table: Table, logger: Logger) {
    this.#table = table;
    this.#logger = logger;
  }

  get<Name extends keyof Table & string>(name: Name): SettingValue<Table, Name> {
    // What is held was read by this very setting's schema.
    return this.#valueOf(name) as SettingValue<Table, Name>;
  }

  list(): readonly SettingView[] {
    return Object.entries(this.#table).map(([name, definition]) => {
      const change = this.#held.get(name)?.change;
      return {
        name,
        value: z.encode(definition.schema, this.#valueOf(name)),
        default: z.encode(definition.schema, definition.default),
        description: definition.description,
        revision: change?.revision ?? 0,
        changedAt: change?.at ?? null,
        changedBy: change?.actor ?? null,
      };
    });
  }

  onChange<Name extends keyof Table & string>(
    name: Name,
    listener: (value: SettingValue<Table, Name>, previous: SettingValue<Table, Name>) => void,
  ): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    const entry = listener as AnyListener;
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  /** Where the store was when it told the value that is in force; 0n while it has told none. */
  storeRevisionOf(name: string): bigint {
    return this.#held.get(name)?.storeRevision ?? 0n;
  }

  /** The store lost its data and counts its revisions from the start: whatever it tells from now on is newer than what is held. */
  startAnew(): void {
    for (const [name, held] of this.#held) this.#held.set(name, { ...held, storeRevision: 0n });
  }

  /** Takes everything that the store has. A store that has lost its data changes nothing. */
  replaceAll(entries: readonly StoredEntry[]): void {
    if (entries.length === 0 && this.#held.size > 0) {
      this.#logger.error("etcd has lost the settings; the last known values stay in force");
      this.startAnew();
      return;
    }
    const listed = new Set(entries.map(({ key }) => nameOfKey(key)));
    for (const name of [...this.#held.keys()]) if (!listed.has(name)) this.forget(name);
    // A store that lost its data counts revisions from the start, so here they say nothing about what is newer.
    for (const { key, value, revision } of entries) this.#accept(nameOfKey(key), value, revision, true);
  }

  /** Takes one change; of two, the one that the store has had later. */
  accept(name: string, text: string, storeRevision: bigint): void {
    this.#accept(name, text, storeRevision, false);
  }

  /** Back to the default. */
  forget(name: string): void {
    if (!this.#held.has(name)) return;
    const previous = this.#valueOf(name);
    this.#held.delete(name);
    this.#announce(name, previous);
  }

  clear(): void {
    this.#listeners.clear();
  }

  #accept(name: string, text: string, storeRevision: bigint, isWholeState: boolean): void {
    const definition = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (definition === undefined) {
      this.#logger.warn({ setting: name }, "Ignored a setting that this version does not know");
      return;
    }
    const held = this.#held.get(name);
    if (!isWholeState && held !== undefined && held.storeRevision >= storeRevision) return;
    const change = toChange(text);
    const decoded = change === undefined ? undefined : z.safeDecode(definition.schema, change.value as never);
    if (change === undefined || decoded?.success !== true) {
      this.#logger.error({ setting: name }, "A stored setting is not valid; the last good value stays in force");
      return;
    }
    const previous = this.#valueOf(name);
    this.#held.set(name, { value: decoded.data, change, storeRevision });
    this.#announce(name, previous);
  }

  #valueOf(name: string): unknown {
    const held = this.#held.get(name);
    return held === undefined ? this.#table[name]?.default : held.value;
  }

  #announce(name: string, previous: unknown): void {
    const definition: Setting | undefined = this.#table[name];
    if (definition === undefined) return;
    const value = this.#valueOf(name);
    const [before, now] = [previous, value].map((each) => JSON.stringify(z.encode(definition.schema, each)));
    if (before === now) return;
    this.#logger.info({ setting: name, from: before, to: now }, "A setting changed");
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener(value, previous);
      } catch (error) {
        this.#logger.error({ err: error, setting: name }, "A listener to a setting failed");
      }
    }
  }
}

/** The setting that a key of the store is. */
export function nameOfKey(key: string): string {
  return key.slice(CONFIG_PREFIX.length);
}
