import type { Clock, Logger } from "@tollgate/kernel";
import { badRequest, conflict, notFound } from "@tollgate/kernel";
import { z } from "zod";
import type { SettingChange } from "./configHistory.ts";
import { historyKey, historyPrefix, toChange } from "./configHistory.ts";
import type { Setting, SettingsTable, SettingValue } from "./settings.ts";
import type { EtcdStore, PrefixWatch, StoredEntry, StoreStatus } from "./store.ts";

/**
 * Settings that change everywhere within a second and without a restart. Each process keeps all of them in memory and
 * reads them there; etcd pushes changes. While etcd is away the last known values stay in force; a process that starts
 * during an outage runs on the defaults and says so ({@link DynamicConfigStatus.isSynced}). A stored value that its
 * schema does not take is logged and ignored: the last good one stays.
 */
export const CONFIG_PREFIX = "/tollgate/config/";
const SET_ATTEMPTS_MAX = 5;

export interface DynamicConfigOptions<Table extends SettingsTable> {
  readonly store: EtcdStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly table: Table;
}

export interface DynamicConfigStatus extends StoreStatus {
  /** False until the stored values have been read once: the defaults are in force. */
  readonly isSynced: boolean;
}

/** A setting as operators see it; values are the stored JSON. */
export interface SettingView {
  readonly name: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly description: string;
}

export interface SetSettingInput {
  readonly name: string;
  /** JSON, as it is stored: micros as a decimal string. */
  readonly value: unknown;
  /** Who did it; kept in the history. */
  readonly actor: string;
}

interface Held {
  readonly value: unknown;

  readonly revision: bigint;
}

type AnyListener = (value: unknown, previous: unknown) => void;

export class DynamicConfig<Table extends SettingsTable> {
  readonly #store: EtcdStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #table: Table;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Map<string, Set<AnyListener>>();
  readonly #watch: PrefixWatch;
  #isSynced = false;

  constructor(options: DynamicConfigOptions<Table>) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#table = options.table;
    this.#watch = options.store.watchPrefix(CONFIG_PREFIX, {
      onState: (entries) => this.#replaceAll(entries),
      onPut: (entry) => this.#accept(nameOf(entry.key), entry.value, entry.revision),
      onDelete: (key) => this.#forget(nameOf(key)),
    });
  }

  /** The value in force, from memory. */
  get<Name extends keyof Table & string>(name: Name): SettingValue<Table, Name> {
    const held = this.#held.get(name);
    // What is held was read by this very setting's schema.
    return (held === undefined ? this.#table[name]?.default : held.value) as SettingValue<Table, Name>;
  }

  /** Every setting with its value in force, for operators. */
  list(): readonly SettingView[] {
    return Object.entries(this.#table).map(([name, definition]) => ({
      name,
      value: z.encode(definition.schema, this.get(name)),
      default: z.encode(definition.schema, definition.default),
      description: definition.description,
    }));
  }

  status(): DynamicConfigStatus {
    return { ...this.#watch.status(), isSynced: this.#isSynced };
  }

  waitUntilSynced(timeoutMs: number): Promise<boolean> {
    return this.#watch.waitUntilSynced(timeoutMs);
  }

  /** Calls the listener with each new value. Returns the function that stops it. */
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

  /**
   * Puts a value in force everywhere and writes its row of history with it, in one transaction.
   * @throws TollgateError NOT_FOUND for an unknown setting, BAD_REQUEST with issues for a value it does not take,
   *   CONFLICT if others kept changing it meanwhile, UNAVAILABLE while the store is away
   */
  async set(input: SetSettingInput): Promise<SettingChange> {
    return this.#write(input.name, input.value, input.actor, undefined);
  }

  /**
   * What a setting has been, newest first.
   * @throws TollgateError NOT_FOUND for an unknown setting, UNAVAILABLE while the store is away
   */
  async history(name: string): Promise<readonly SettingChange[]> {
    this.#definition(name);
    const entries = await this.#store.list(historyPrefix(name));
    return entries.flatMap((entry) => toChange(entry) ?? []).sort((a, b) => b.revision - a.revision);
  }

  /**
   * Puts the value of an earlier revision in force again, as a new revision; revision 0 is the default.
   * @throws TollgateError as {@link set} does, and NOT_FOUND for an unknown revision
   */
  async rollback(input: {
    readonly name: string;
    readonly revision: number;
    readonly actor: string;
  }): Promise<SettingChange> {
    const definition = this.#definition(input.name);
    const value =
      input.revision === 0
        ? z.encode(definition.schema, definition.default)
        : await this.#valueAt(input.name, input.revision);
    return this.#write(input.name, value, input.actor, input.revision);
  }

  close(): void {
    this.#watch.close();
    this.#listeners.clear();
  }

  async #valueAt(name: string, revision: number): Promise<unknown> {
    const found = (await this.history(name)).find((change) => change.revision === revision);
    if (found === undefined) throw notFound("setting revision");
    return found.value;
  }

  async #write(name: string, json: unknown, actor: string, rolledBackTo: number | undefined): Promise<SettingChange> {
    const definition = this.#definition(name);
    const decoded = z.safeDecode(definition.schema, json);
    if (!decoded.success) {
      const issues = decoded.error.issues.map(({ path, message }) => ({ path: ["value", ...path].join("."), message }));
      throw badRequest(`Not a value for ${name}`, { issues });
    }
    const value: unknown = z.encode(definition.schema, decoded.data);
    const text = JSON.stringify(value);
    for (let attempt = 1; attempt <= SET_ATTEMPTS_MAX; attempt += 1) {
      const [current, past] = await Promise.all([this.#store.get(CONFIG_PREFIX + name), this.history(name)]);
      const change: SettingChange = {
        revision: (past[0]?.revision ?? 0) + 1,
        value,
        at: this.#clock.now().toISOString(),
        actor,
        ...(rolledBackTo === undefined ? {} : { rolledBackTo }),
      };
      const row = { key: historyKey(name, change.revision), value: JSON.stringify({ ...change, revision: undefined }) };
      const { isCommitted, revision } = await this.#store.transact({
        expect: [
          { key: CONFIG_PREFIX + name, revision: current?.revision ?? 0n },
          { key: row.key, revision: 0n },
        ],
        put: [{ key: CONFIG_PREFIX + name, value: text }, row],
      });
      if (!isCommitted) continue;
      // The watch brings it too; whoever set it reads it back at once.
      this.#accept(name, text, revision);
      return change;
    }
    throw conflict(`Others are changing ${name} at the same time`, { reason: "setting_contended" });
  }

  #definition(name: string): Setting {
    const definition = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (definition === undefined) throw notFound("setting");
    return definition;
  }

  #replaceAll(entries: readonly StoredEntry[]): void {
    this.#isSynced = true;
    const listed = new Set(entries.map(({ key }) => nameOf(key)));
    for (const name of [...this.#held.keys()]) if (!listed.has(name)) this.#forget(name);
    // A store that lost its data counts revisions from the start, so here they say nothing about what is newer.
    for (const { key, value, revision } of entries) this.#accept(nameOf(key), value, revision, true);
  }

  #accept(name: string, text: string, revision: bigint, isWholeState = false): void {
    const definition = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (definition === undefined) {
      this.#logger.warn({ setting: name }, "Ignored a setting that this version does not know");
      return;
    }
    const held = this.#held.get(name);
    if (!isWholeState && held !== undefined && held.revision >= revision) return;
    const decoded = decodeText(definition, text);
    if (decoded === undefined) {
      this.#logger.error({ setting: name }, "A stored setting is not valid; the last good value stays in force");
      return;
    }
    const previous = this.#valueOf(name);
    this.#held.set(name, { value: decoded.value, revision });
    this.#announce(name, previous);
  }

  #forget(name: string): void {
    if (!this.#held.has(name)) return;
    const previous = this.#valueOf(name);
    this.#held.delete(name);
    this.#announce(name, previous);
  }

  #valueOf(name: string): unknown {
    const held = this.#held.get(name);
    return held === undefined ? this.#table[name]?.default : held.value;
  }

  #announce(name: string, previous: unknown): void {
    const definition = this.#definition(name);
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

function nameOf(key: string): string {
  return key.slice(CONFIG_PREFIX.length);
}

function decodeText(definition: Setting, text: string): { value: unknown } | undefined {
  try {
    const decoded = z.safeDecode(definition.schema, JSON.parse(text));
    return decoded.success ? { value: decoded.data } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
